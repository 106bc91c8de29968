/** What the operator's commands print, at 60 and at 120 columns; and what a conversation is said to wait for. */
import { expect, test } from "vitest"
import type { Conversations, Inspection, Letter, Letters, Status } from "../../src/cli/operator/answers.ts"
import { conversationsText } from "../../src/cli/operator/conversations-text.ts"
import { inspectText, lastErrorOf } from "../../src/cli/operator/inspect-text.ts"
import { lettersText, letterText } from "../../src/cli/operator/letters-text.ts"
import { statusText } from "../../src/cli/operator/status-text.ts"
import { waitingFor } from "../../src/cli/operator/waiting.ts"

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)
const id = "webhook/demo/a-room-with-a-name-that-is-rather-long"
const key = "msg_FqbCbUdbLOW1hFfrWqLkA4CzSMt"
const refusal = "410: the callback wants no more of these, says the platform"

const status: Status = {
  nowMs,
  startedAtMs: nowMs - 7_500_000,
  ready: false,
  durability: "relaxed",
  parts: { database: "up", model: "it is not ready", "web/chat": "up", "webhook/demo": "up" },
  models: [
    { name: "default", state: "answering", slots: 4, running: 4, interactive: 12, background: 1, turnMs: 2_345 }
  ],
  conversations: { live: 37, busy: 16 },
  outbox: { due: 3, deadLetters: 2 },
  events: [
    { account: "web/chat", ...{ accepted: 20, answered: 20, ignored: 0, superseded: 0, shed: 0, dead: 0, pending: 0 } },
    {
      account: "webhook/demo",
      ...{ accepted: 10_412, answered: 10_390, ignored: 3, superseded: 2, shed: 4, dead: 1, pending: 12 }
    }
  ]
}
const letter: Letters["deadLetters"][number] = {
  ...{ id: 7, kind: "outbound", conversation: id, reference: key, reason: refusal },
  ...{ state: "open", atMs: nowMs - 90_000 }
}
const conversations: Conversations = {
  nowMs,
  conversations: [
    { id, value: "done", turn: 3, atMs: nowMs - 90_000, pending: 0, due: 1, dead: 1 },
    {
      id: "webhook/demo/部屋",
      value: { answering: "awaiting-model" },
      turn: 12,
      atMs: nowMs,
      pending: 2,
      due: 0,
      dead: 0
    }
  ],
  next: "webhook/demo/部屋"
}
const deed = { atMs: nowMs - 60_000, operator: "ann@desk", address: "127.0.0.1", action: "replay", subject: "7" }
const whole: Letter = {
  ...letter,
  nowMs,
  message: {
    ...{ key, turn: 3, outcome: "answered", inReplyTo: ["event-1", "event-2"], characters: 5, text: null },
    ...{ state: "dead", atMs: nowMs - 100_000 }
  },
  attempts: [
    { n: 1, atMs: nowMs - 95_000, result: null, reason: null },
    { n: 2, atMs: nowMs - 91_000, result: "rejected", reason: refusal }
  ],
  audit: [deed]
}
const inspection: Inspection = {
  ...{ nowMs, id, isConfigured: true, isLive: true, queue: { ahead: 3, waitMs: 12_000 } },
  conversation: {
    ...{ id, value: { answering: "awaiting-model" }, turn: 4, atMs: nowMs - 12_000, pending: 2, due: 1, dead: 1 },
    ...{ account: "webhook/demo", machine: "conversation", version: 2, seq: 19, context: {}, defects: 0 },
    timers: [{ id: "t", event: "xstate.after", armed: 1, dueAtMs: nowMs + 288_000 }]
  },
  pending: { count: 2, oldestAtMs: nowMs - 13_000 },
  outbox: [
    {
      ...{ key, turn: 3, outcome: "answered", atMs: nowMs - 100_000, dueAtMs: nowMs + 8_000, attempts: 4 },
      ...{ result: "not-sent", reason: "500: \u001b[2Jnot now", endedAtMs: nowMs - 4_000 }
    }
  ],
  deadLetters: [letter],
  messages: [
    { seq: 7, role: "user", turn: 4, atMs: nowMs - 13_000, characters: 18, text: "Are you still with us?" },
    { seq: 8, role: "notice", turn: 4, atMs: nowMs - 12_000, characters: 60, text: "部屋".repeat(30) }
  ],
  audit: [deed]
}

test.each([60, 120])("at %d columns", async (width) => {
  const look = { width, isColoured: false }
  const views = [
    statusText(status, "http://127.0.0.1:8080", look),
    conversationsText(conversations, width),
    inspectText(inspection, look),
    lettersText({ nowMs, deadLetters: [letter, { ...letter, id: 6, kind: "turn", reason: "broken" }], next: 6 }, width),
    letterText(whole, look)
  ]
  await expect(`${views.join("\n\n---\n\n")}\n`).toMatchFileSnapshot(`../recorded/operator-${width}.txt`)
})

test("colours are for terminals that want them", () => {
  const coloured = statusText(status, "http://127.0.0.1:8080", { width: 100, isColoured: true })
  expect(coloured).toContain("\x1b[31mnot ready\x1b[0m")
  expect(inspectText(inspection, { width: 100, isColoured: false })).not.toContain("\x1b")
})

const { conversation, outbox } = inspection
const at = (value: unknown) => ({ conversation: { ...conversation!, value } })
const quiet = { queue: null, pending: { count: 0, oldestAtMs: null }, outbox: [] }
const sent = outbox[0]!

test.each<[Partial<Inspection>, string]>([
  [{ isConfigured: false }, `nothing happens: the account of ${id} is not configured`],
  [{ conversation: null }, "its first event is about to be read"],
  [at("typing"), "the person may go on writing; the answer begins in 4 min 48 s"],
  [{}, "a slot of the model: 3 before it, about 12 s; it is given up in 4 min 48 s"],
  [{ queue: { ahead: 0, waitMs: 900 } }, "a slot of the model: it is next, about 1 s; it is given up in 4 min 48 s"],
  [{ queue: null }, "the model, which answers it; it is given up in 4 min 48 s"],
  [{ queue: null, isLive: false }, "somebody to wake it, within half a minute; it is given up in 4 min 48 s"],
  [at("done"), "its events are about to be read"],
  [{ ...quiet, ...at("done"), outbox }, "8 s, then the reply to turn 3 is sent again"],
  [
    { ...quiet, ...at("done"), outbox: [{ ...sent, result: null }] },
    "the platform, which is sent the reply to turn 3 (attempt 4)"
  ],
  [{ ...quiet, ...at("done"), outbox: [{ ...sent, dueAtMs: nowMs }] }, "the reply to turn 3 is about to be sent"],
  [{ ...quiet, ...at("done") }, "nothing: nothing is owed"],
  [{ ...quiet, ...at("asking") }, "the next event; a timer fires in 4 min 48 s"]
])("%o waits for %s", (change, words) => {
  expect(waitingFor({ ...inspection, ...change })).toBe(words)
})

test("the last error is the newest, of what is owed or was given up", () => {
  expect(lastErrorOf(inspection)).toMatchObject({ of: "send 4 of turn 3", atMs: nowMs - 4_000 })
  expect(lastErrorOf({ ...inspection, outbox: [] })).toMatchObject({ of: "dead letter 7", reason: refusal })
  expect(lastErrorOf({ ...inspection, outbox: [], deadLetters: [] })).toBeUndefined()
})
