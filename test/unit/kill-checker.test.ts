/** The checker of the kill tests finds each thing that may not be, and nothing else. */
import { expect, test } from "vitest"
import type { Delivery } from "../integration/callback-server.ts"
import { type Kind, type Reply, violationsOf } from "../integration/kill-checker.ts"
import type { Autopsy } from "../integration/kill-columns.ts"
import type { Evidence } from "../integration/kill-evidence.ts"
import type { Sent } from "../integration/kill-load.ts"

const event = (nth: number, text = `c01.e${nth} text`): Sent => ({
  id: `c01.e${nth}`,
  conversation: "c01",
  user: { id: "u" },
  text,
  isStop: text === "/stop"
})

const sent = [event(1), event(2), event(3), event(4, "/stop"), event(5), event(6)]

const reply = (turn: number, nths: ReadonlyArray<number>, text: string, outcome = "answered") => ({
  key: `msg_${turn}`,
  conversation: "c01",
  text,
  turn,
  in_reply_to: nths.map((nth) => `c01.e${nth}`),
  outcome
})

/** The fourth event stopped the second turn in the middle; the third turn was stopped before its model spoke. */
const replies = [
  reply(1, [1], "echo: c01.e1 text"),
  reply(2, [2, 3], "echo: c01.e2 text\nc01.e3", "stopped"),
  reply(3, [5], "Stopped.", "stopped"),
  reply(4, [6], "echo: c01.e5 text\nc01.e6 text")
]

const delivered = ({ key, ...body }: Reply, attempt = 1): Delivery => ({
  key,
  body: JSON.stringify(body),
  at: 0,
  attempt,
  fate: "take",
  shown: attempt === 1
})

const autopsy = (change: Partial<Autopsy>): Autopsy => ({
  kill: "1 any-time",
  isDead: true,
  counts: { "accepted-unstarted": 0, "awaiting-model": 0, streaming: 0, "committed-unsent": 0, ambiguous: 0 },
  ambiguous: [{ key: "msg_1", n: 1 }],
  attempts: new Map([["msg_1", 1]]),
  arrivals: new Map([["msg_1", 1]]),
  ...change
})

const evidence: Evidence = {
  sent,
  acknowledgements: sent.map(({ id }) => ({ id, at: 0, attempts: 1, duplicate: false })),
  deliveries: [...replies.map((one) => delivered(one)), delivered(replies[0]!, 2)],
  autopsies: [autopsy({})],
  metrics: { accepted: 6, answered: 5, ignored: 1, due: 0, pending: 0 },
  rows: {
    inbound: sent.map(({ id, isStop }) => ({
      event_key: id,
      conversation: "webhook/demo/c01",
      fate: isStop ? "ignored" : "answered"
    })),
    outbound: replies.map(({ key }) => ({ key, state: "delivered" })),
    attempts: [
      { key: "msg_1", n: 1, result: "ambiguous" },
      ...[1, 2, 3, 4].map((turn) => ({ key: `msg_${turn}`, n: 2, result: "delivered" }))
    ],
    answeredTwice: [],
    gaps: []
  },
  isEcho: true
}

const replied = (...changed: ReadonlyArray<Reply>): Partial<Evidence> => ({
  deliveries: changed.map((one) => delivered(one))
})
const rows = (change: Partial<Evidence["rows"]>): Partial<Evidence> => ({ rows: { ...evidence.rows, ...change } })
const [first, second, third, fourth] = replies as unknown as readonly [Reply, Reply, Reply, Reply]

test("what was promised is no violation", () => {
  expect(violationsOf(evidence)).toEqual([])
})

test.each<[Kind, string, Partial<Evidence>]>([
  ["lost", "no reply", replied(first, { ...second, in_reply_to: ["c01.e2"] }, third, fourth)],
  ["doubled", "two replies", replied(first, second, third, { ...fourth, in_reply_to: ["c01.e1", "c01.e6"] })],
  ["doubled", "new twice", { acknowledgements: [...evidence.acknowledgements, ...evidence.acknowledgements] }],
  ["stranger", "nobody wrote it", replied(first, second, third, { ...fourth, in_reply_to: ["c01.e6", "c02.e1"] })],
  ["stranger", "a command", replied(first, second, third, { ...fourth, in_reply_to: ["c01.e4", "c01.e6"] })],
  ["changed", "another body", { deliveries: [...evidence.deliveries, delivered({ ...first, text: "other" }, 3)] }],
  ["disordered", "turns", replied(second, first, third, fourth)],
  ["disordered", "events", replied(first, { ...second, in_reply_to: ["c01.e3", "c01.e2"] }, third, fourth)],
  ["spliced", "an answer to more", replied(first, second, third, { ...fourth, text: `${fourth.text}\nc01.e1` })],
  ["spliced", "an answer to less", replied(first, second, third, { ...fourth, text: "echo: c01.e6 text" })],
  ["spliced", "two attempts", replied({ ...first, text: "echo: c01echo: c01.e1 text" }, second, third, fourth)],
  ["unbalanced", "the sum", { metrics: { ...evidence.metrics, answered: 4 } }],
  ["unbalanced", "the rows", rows({ inbound: evidence.rows.inbound.slice(1) })],
  ["unrecorded", "at a kill", { autopsies: [autopsy({ attempts: new Map() })] }],
  ["unrecorded", "at the end", rows({ attempts: evidence.rows.attempts.slice(1) })],
  ["unsure", "no result", rows({ attempts: [{ key: "msg_4", n: 3, result: null }, ...evidence.rows.attempts] })],
  ["unsure", "taken for delivered", { autopsies: [autopsy({ ambiguous: [{ key: "msg_2", n: 2 }] })] }],
  ["undelivered", "given up", rows({ outbound: evidence.rows.outbound.map((row) => ({ ...row, state: "dead" })) })],
  ["undelivered", "never seen", { deliveries: evidence.deliveries.map((one) => ({ ...one, shown: false })) }],
  ["unfenced", "no record", rows({ outbound: evidence.rows.outbound.slice(1) })],
  ["unfenced", "a gap", rows({ gaps: [{ conversation: "webhook/demo/c01" }] })],
  ["unfenced", "two answers", rows({ answeredTwice: [{ conversation: "webhook/demo/c01", turn: 1 }] })]
])("%s: %s", (kind, _, change) => {
  expect(violationsOf({ ...evidence, ...change }).map((violation) => violation.kind)).toContain(kind)
})
