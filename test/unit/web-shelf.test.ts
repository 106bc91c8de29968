/** What the browser remembers, in a store that two tabs share, that is full, or that another program wrote into. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { entriesMax, Shelf, titleMax, titleOf } from "../../web/src/shelf.ts"

function twoTabs() {
  const stored = new Map<string, string>()
  const store = {
    get: (name: string) => stored.get(name),
    set: (name: string, text: string) => void stored.set(name, text)
  }
  return { stored, one: new Shelf(store), other: new Shelf(store) }
}

const entry = (key: string, atMs = 1) => ({ key, title: `title ${key}`, atMs })
const unsent = (id: string, key = "a") => ({ key, id, text: "text", atMs: 1 })

test("two tabs do not undo each other's changes", () => {
  const { one, other } = twoTabs()
  one.put(entry("a", 1))
  other.put(entry("b", 2))
  one.rename("a", "mine")
  other.keep(unsent("x"))
  one.keep(unsent("y"))
  other.drop("x")
  expect(one.entries().map(({ key, title }) => [key, title])).toEqual([
    ["b", "title b"],
    ["a", "mine"]
  ])
  expect(other.unsent("a").map(({ id }) => id)).toEqual(["y"])
})

test("of two tabs that begin one conversation, the first gives it its id", () => {
  const { one, other } = twoTabs()
  one.put(entry("a"))
  expect([one.adopt("a", "first"), other.adopt("a", "second")]).toEqual(["first", "first"])
  expect(one.adopt("not kept yet", "own")).toBe("own")
})

test("a deleted conversation leaves nothing behind", () => {
  const { one, stored } = twoTabs()
  one.put({ ...entry("a"), id: "secret" })
  one.keep(unsent("x"))
  one.remove("a")
  expect([...stored.values()]).toEqual(["[]", "[]"])
})

test("the oldest conversations make room", () => {
  const { one } = twoTabs()
  for (let i = 0; i < entriesMax + 3; i++) one.put(entry(String(i), i))
  expect(one.entries()).toHaveLength(entriesMax)
  expect(one.entries().at(-1)?.key).toBe("3")
})

test("whatever is stored, the page begins", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      const shelf = new Shelf({ get: () => text, set: () => {} })
      for (const { key, title, atMs } of shelf.entries()) {
        expect([typeof key, typeof title, typeof atMs]).toEqual(["string", "string", "number"])
      }
      expect(() => shelf.unsent("a")).not.toThrow()
    })
  )
})

test("a title is the first words, in one line, whole characters", () => {
  expect(titleOf("  Hello\n world ")).toBe("Hello world")
  expect(titleOf("word ".repeat(40))).toMatch(/^(word )+word…$/)
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 200, size: "max" }), (text) => {
      const title = titleOf(text)
      expect([...title].length).toBeLessThanOrEqual(titleMax + 1)
      expect(title.isWellFormed()).toBe(true)
      expect(title).not.toMatch(/\n/)
    })
  )
})
