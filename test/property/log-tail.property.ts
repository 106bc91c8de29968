/** The laws of reading a log from its end, on real files that are written in pieces. */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, expect, test } from "vitest"
import { type LogPlace, lastLines, linesBehind } from "../../src/cli/log-tail.ts"

const root = mkdtempSync(join(tmpdir(), "parley-tail-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let dirs = 0
const freshDir = () => {
  const dir = join(root, String(++dirs))
  mkdirSync(dir)
  return dir
}
const nameOf = (index: number) => `parley-2026-01-0${1 + Math.floor(index / 3)}-000${index % 3}.jsonl`

/** Some are longer than a chunk that is read at once. */
const line = fc
  .tuple(fc.string({ unit: "grapheme", maxLength: 8 }), fc.constantFrom(0, 0, 0, 1, 40_000, 70_000))
  .map(([text, filling]) => `${text.replace(/\n/g, "").toWellFormed()}${"x".repeat(filling)}`)
const files = fc.array(fc.array(line, { maxLength: 8, size: "max" }), { maxLength: 5 })
const isTaken = (text: string) => text.length % 3 !== 1
const take = (text: string) => (isTaken(text) ? text : undefined)

test("T1: the last lines are those that are whole, of all files, from the end", () => {
  fc.assert(
    fc.property(files, fc.nat({ max: 20 }), fc.string({ maxLength: 5, unit: "grapheme-ascii" }), (files, max, rest) => {
      const dir = freshDir()
      for (const [index, lines] of files.entries()) {
        const isLast = index === files.length - 1
        writeFileSync(join(dir, nameOf(index)), lines.map((one) => `${one}\n`).join("") + (isLast ? rest : ""))
      }
      writeFileSync(join(dir, "another.jsonl"), "not ours\n")
      const wanted = files.flat().filter(isTaken)
      expect(lastLines(dir, max, take).lines).toEqual(max === 0 ? [] : wanted.slice(-max))
    }),
    { numRuns: 60 }
  )
})

/** Some bytes of the text that is still to be written, the next file, or a look. */
const step = fc.oneof(fc.nat({ max: 90_000 }), fc.constant("next" as const), fc.constant("look" as const))

test("T2: what is followed is told once, in its order, a line when it is whole, across the change of files", () => {
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), fc.array(step, { maxLength: 20 }), (lines, steps) => {
      const dir = freshDir()
      let index = 0
      writeFileSync(join(dir, nameOf(index)), "before\n")
      let { end: place }: { readonly end: LogPlace | undefined } = lastLines(dir, 1, (one) => one)
      const told: Array<string> = []
      const look = () => {
        for (;;) {
          const { end, lines } = linesBehind(dir, place)
          told.push(...lines)
          if (end?.name === place?.name && end?.offset === place?.offset) return
          place = end
        }
      }
      let left = Buffer.from(lines.map((one) => `${one}\n`).join(""))
      let isWhole = true
      const write = (bytes: number) => {
        const part = left.subarray(0, bytes)
        left = left.subarray(bytes)
        appendFileSync(join(dir, nameOf(index)), part)
        if (part.length > 0) isWhole = part.at(-1) === 10
      }
      for (const one of steps) {
        if (one === "look") look()
        else if (one !== "next") write(one)
        // A file ends with a line.
        else if (isWhole) writeFileSync(join(dir, nameOf(++index % 20)), "", { flag: "a" })
        if (index >= 11) break
      }
      write(left.length)
      look()
      expect(told).toEqual(lines)
    }),
    { numRuns: 60 }
  )
})
