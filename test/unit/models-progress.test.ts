/** What a person sees of a download and of the list, at whatever width. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { test } from "vitest"
import { makeProgress, progressLine } from "../../src/cli/models/progress.ts"
import { shelfTable } from "../../src/cli/models/shelf-table.ts"
import { bytesText, countText, durationText, tokensText } from "../../src/cli/quantity.ts"

const mebibyte = 1024 * 1024

function screenOf(isTerminal: boolean, columns = 80) {
  const written: Array<string> = []
  return { written, screen: { isTerminal, columns: () => columns, write: (text: string) => void written.push(text) } }
}

it.effect("on a terminal a bar is redrawn ten times a second, with rate and time left", () =>
  Effect.gen(function* () {
    const { screen, written } = screenOf(true)
    const progress = makeProgress(screen)
    for (let second = 0; second <= 10; second += 0.01) {
      yield* progress.progress(second * 10 * mebibyte, 400 * mebibyte)
      yield* TestClock.adjust(10)
    }
    expect(written.length).toBeLessThan(110)
    const last = /\[#{6}\.{22}\] {2}2[45] % {2}100 MiB of 400 MiB {2}10\.0 MiB\/s {2}3[01] s left/
    expect(written.at(-1)).toMatch(last)
    yield* progress.note("Trying again.")
    expect(written.slice(-2)).toEqual(["\r\u001b[K", "Trying again.\n"])
  })
)

it.effect("where nobody watches there is a line now and then, and one at the end", () =>
  Effect.gen(function* () {
    const { screen, written } = screenOf(false)
    const progress = makeProgress(screen)
    for (let second = 0; second < 60; second++) {
      yield* progress.progress(second * mebibyte, 60 * mebibyte)
      yield* TestClock.adjust(1_000)
    }
    yield* progress.progress(60 * mebibyte, 60 * mebibyte)
    yield* progress.end
    expect(written.length).toBe(5)
    expect(written.at(-1)).toBe("100 %  60.0 MiB of 60.0 MiB  1.00 MiB/s\n")
    expect(written.join("")).not.toContain("\u001b")
  })
)

test("a line of progress fits, however narrow the terminal", () => {
  const state = fc.record({
    doneBytes: fc.nat(),
    totalBytes: fc.nat(),
    bytesPerSecond: fc.option(fc.nat(), { nil: undefined })
  })
  fc.assert(
    fc.property(state, fc.nat(200), (state, columns) => {
      expect(progressLine(state, columns).length).toBeLessThanOrEqual(columns)
    })
  )
})

const shelfModel = fc.record(
  {
    name: fc.string({ maxLength: 80, unit: "grapheme-ascii" }),
    isInUse: fc.boolean(),
    where: fc.string({ maxLength: 100 }),
    sizeBytes: fc.nat(),
    quantisation: fc.constantFrom("Q8_0", "IQ2_XXS"),
    parameters: fc.nat(),
    contextTokens: fc.nat(),
    sha256: fc.constant("0123456789abcdef".repeat(4))
  },
  { requiredKeys: ["name", "isInUse", "where"] }
)

test("the table fits a terminal of 40 columns and more, and has a line for each model", () => {
  fc.assert(
    fc.property(fc.array(shelfModel), fc.integer({ min: 40, max: 300 }), (models, columns) => {
      const lines = shelfTable(models, columns).split("\n")
      expect(lines.length).toBe(models.length + 1)
      for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns)
    })
  )
})

test("quantities are told with three digits, in the unit that they have", () => {
  expect([0, 999, 1023, 1024, 1_340_416, 4_692_251_770].map(bytesText)).toEqual([
    ...["0 B", "999 B", "1023 B", "1.00 KiB", "1.28 MiB", "4.37 GiB"]
  ])
  expect([135_000_000, 7_615_616_512, 0].map(countText)).toEqual(["135M", "7.62B", "0"])
  expect([2048, 131_072, 1000].map(tokensText)).toEqual(["2k", "128k", "1000"])
  expect([1, 59_000, 61_000, 3_725_000].map(durationText)).toEqual(["1 s", "59 s", "1 min 01 s", "1 h 02 min"])
})
