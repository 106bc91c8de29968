import fc from "fast-check"
import { expect, test } from "vitest"
import { promptOf } from "../../src/actors/prompt.ts"

const messagesMax = 64
const system = { role: "system", content: "You answer." }

/** How many messages the person wrote in each turn, all of which but the last are answered. */
const conversations = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 120, size: "max" })

function storedOf(written: ReadonlyArray<number>) {
  const all = written.flatMap((messages, turn) => [
    ...Array.from({ length: messages }, (_, i) => ({ role: "user" as const, turn, text: `${turn}, ${i}` })),
    { role: "assistant" as const, turn, text: `${turn}!` }
  ])
  return all.slice(0, -1).slice(-messagesMax)
}

test("the last turn is whole in it, and the roles alternate", () => {
  fc.assert(
    fc.property(conversations, (written) => {
      const messages = promptOf(system.content, storedOf(written), messagesMax)
      const last = Array.from({ length: written.at(-1)! }, (_, i) => `${written.length - 1}, ${i}`)
      expect(messages[0]).toEqual(system)
      expect(messages.at(-1)).toEqual({ role: "user", content: last.join("\n") })
      expect(messages.map(({ role }) => role).slice(1)).toEqual(
        messages.slice(1).map((_, i) => (i % 2 === 0 ? "user" : "assistant"))
      )
    })
  )
})

test("a turn's prompt begins with that of the turn before, but for one in eight", () => {
  fc.assert(
    fc.property(conversations, (written) => {
      const prompts = written.map((_, turn) =>
        promptOf(system.content, storedOf(written.slice(0, turn + 1)), messagesMax)
      )
      const other = prompts.filter((prompt, turn) => {
        const before = prompts[turn - 1] ?? []
        return JSON.stringify(prompt.slice(0, before.length)) !== JSON.stringify(before)
      })
      expect(other.length).toBeLessThanOrEqual(Math.ceil(written.length / 8))
    })
  )
})

test("no more than eight turns are left out of what is there", () => {
  fc.assert(
    fc.property(conversations, (written) => {
      const stored = storedOf(written)
      const messages = promptOf(system.content, stored, messagesMax)
      const turns = new Set(stored.map(({ turn }) => turn)).size
      expect(Math.floor(messages.length / 2)).toBeGreaterThanOrEqual(stored.length < messagesMax ? turns : turns - 8)
    })
  )
})
