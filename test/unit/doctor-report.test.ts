/** How findings are run for, and how they look. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { test } from "vitest"
import { type Check, type Finding, ok, runChecks } from "../../src/cli/doctor/finding.ts"
import { report, reportJson } from "../../src/cli/doctor/report.ts"

const plain = { isColoured: false }

it.effect("a check that dies and one that hangs are findings, and the others stand", () =>
  Effect.gen(function* () {
    let released = 0
    const hold = Effect.acquireRelease(Effect.void, () => Effect.sync(() => released++))
    const check = (name: string, run: Check["run"]): Check => ({ name, maxMs: 5_000, run })
    const fiber = yield* Effect.forkChild(
      runChecks([
        check("dying", Effect.andThen(hold, Effect.die(new Error("it broke\n    at x.ts:1:1")))),
        check("hanging", Effect.andThen(hold, Effect.never)),
        check("last", Effect.succeed([ok("last", "Fine.")]))
      ])
    )
    yield* TestClock.adjust(5_000)
    const findings = yield* Fiber.join(fiber)
    expect(findings.map(({ id, level }) => [id, level])).toEqual([
      ["dying.failed", "warning"],
      ["hanging.late", "warning"],
      ["last", "ok"]
    ])
    expect(findings[0]?.saw).toBe("This check failed itself: Error: it broke")
    expect(released).toBe(2)
  })
)

const text = fc
  .array(fc.string({ unit: "grapheme", maxLength: 300, size: "max" }), { maxLength: 12 })
  .map((words) => words.join(" "))
const seen = {
  id: fc.constantFrom("model.file", "database.synchronous_commit", "server.dead-letters"),
  saw: text
}
const finding: fc.Arbitrary<Finding> = fc.oneof(
  fc.record({ ...seen, level: fc.constant("ok") }),
  fc.record({ ...seen, why: text, mend: text, level: fc.constantFrom("note", "warning", "trouble") })
)

test("no line is wider than the terminal, and no word is lost, whatever was found", () => {
  fc.assert(
    fc.property(fc.array(finding), fc.integer({ min: 40, max: 200 }), (findings, width) => {
      const printed = report(findings, { ...plain, width })
      for (const line of printed.split("\n")) expect([...line].length).toBeLessThanOrEqual(width)
      const letters = (some: string) => some.replace(/[\s\p{Cc}]/gu, "")
      for (const { saw } of findings.slice(0, 1)) expect(letters(printed)).toContain(letters(saw))
    })
  )
})

test("colours are for terminals that want them, and steer nothing else", () => {
  const findings = [{ id: "x", level: "trouble", saw: "a\x1b[2Jb", mend: "do" }] as const
  const coloured = report(findings, { width: 100, isColoured: true })
  expect(coloured).toContain("\x1b[31mtrouble  \x1b[0m")
  expect(coloured).not.toContain("\x1b[2J")
  expect(report(findings, { width: 100, ...plain })).not.toContain("\x1b")
})

test("one document has all of it, and says whether it is healthy", () => {
  const findings: ReadonlyArray<Finding> = [ok("a", "A."), { id: "b", level: "warning", saw: "B.", mend: "c" }]
  expect(JSON.parse(reportJson(findings, "1.2.3", "2026-01-01T00:00:00.000Z"))).toEqual({
    version: "1.2.3",
    at: "2026-01-01T00:00:00.000Z",
    healthy: true,
    counts: { trouble: 0, warning: 1, note: 0, ok: 1 },
    findings
  })
})
