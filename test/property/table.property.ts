/** The laws of tables, whatever stands in them. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { clipped, columnsOf, table } from "../../src/cli/table.ts"

const word = fc.string({ unit: fc.constantFrom("a", "b", "Ω", "漢", "é", "😀", "\u001b", "/"), maxLength: 60 })
const columns = [
  { title: "ID", isRight: true },
  { title: "NAME", clipsTo: 8 },
  { title: "MORE", leaves: 2, clipsTo: 10 },
  { title: "MOST", leaves: 1 }
]
const least = 4 + 2 + 8
const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 9999 }).map(String), word, word, word), { maxLength: 12 })

test("a table has a line for each row, none wider than the terminal, and steers nothing", () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: least, max: 200 }), (rows, width) => {
      const lines = table(columns, rows, width)
      expect(lines).toHaveLength(rows.length + 1)
      for (const line of lines) {
        expect(columnsOf(line)).toBeLessThanOrEqual(width)
        expect(line).not.toMatch(/\p{Cc}/u)
      }
      for (const [index, [id]] of rows.entries()) expect(lines[index + 1]?.trim().split(" ")[0]).toBe(id)
    })
  )
})

test("where there is room nothing is clipped and nothing leaves", () => {
  fc.assert(
    fc.property(rows, (rows) => {
      const [head, ...lines] = table(columns, rows, Number.POSITIVE_INFINITY)
      expect(head?.split(/ +/).filter((title) => title !== "")).toEqual(["ID", "NAME", "MORE", "MOST"])
      for (const [index, row] of rows.entries()) {
        for (const cell of row) expect(lines[index]).toContain(cell.replace(/\p{C}/gu, "?"))
      }
    })
  )
})

test("what is clipped keeps its head and its tail", () => {
  fc.assert(
    fc.property(word, fc.integer({ min: 5, max: 80 }), (text, width) => {
      const short = clipped(text, width)
      expect(columnsOf(short)).toBeLessThanOrEqual(width)
      const [head = "", tail = ""] = short.split("…")
      if (short === text) return
      expect([text.startsWith(head), text.endsWith(tail)]).toEqual([true, true])
      expect(columnsOf(short)).toBeGreaterThanOrEqual(width - 2)
    })
  )
  expect(clipped("webhook/demo/room-1234567", 17)).toBe("webhook/…-1234567")
})
