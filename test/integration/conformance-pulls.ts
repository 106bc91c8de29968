/** What an adapter owes whose platform reads from the record: a send only tells that there is something to read. */
import assert from "node:assert/strict"
import { Effect } from "effect"
import {
  type Check,
  check,
  type Harness,
  intakeOf,
  listening,
  type Meeting,
  outboundOf,
  settle
} from "./conformance-bench.ts"
import { arrives } from "./conformance-sends.ts"

export const pullChecks = (harness: Harness): ReadonlyArray<Check> => [
  check("O1: what is sent arrives once, whole, in the order of the sends", arrives(harness)),
  check("O3: a repetition shows nothing more", shownOnce(harness, [1, 1, 2, 1, 2], [])),
  check(
    "O2: whoever is cut off is shown the rest once, when they come back",
    shownOnce(harness, [1, 2, 3, 4], ["taken", "cut-before", "taken", "cut-before"])
  ),
  check("O2: nobody needs to look for a message to be delivered", unseen(harness))
]

const shownOnce = Effect.fnUntraced(function* (
  harness: Harness,
  sends: ReadonlyArray<number>,
  meetings: ReadonlyArray<Meeting>
) {
  const { adapter, platform } = yield* listening(harness, intakeOf())
  platform.meet(...meetings)
  for (const nth of sends) yield* adapter.send(outboundOf(nth))
  const wanted = [...new Set(sends)].map((nth) => outboundOf(nth).key)
  yield* platform.arrived(wanted.length)
  yield* settle
  assert.deepEqual(
    platform.arrivals().map(({ key }) => key),
    wanted
  )
})

const unseen = Effect.fnUntraced(function* (harness: Harness) {
  const { adapter, platform } = yield* listening(harness, intakeOf())
  platform.meet("nobody")
  yield* adapter.send(outboundOf(1))
  assert.deepEqual(platform.arrivals(), [])
  yield* adapter.send(outboundOf(2))
  yield* platform.arrived(2)
})
