/** What every adapter owes the messages that it is given to send (DESIGN.md, O1 to O4). */
import assert from "node:assert/strict"
import { Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import type { Adapter, SendError } from "../../src/adapters/adapter.ts"
import {
  type Bench,
  type Check,
  check,
  type Harness,
  intakeOf,
  listening,
  type Meeting,
  outboundOf,
  settle
} from "./conformance-bench.ts"

type Tag = SendError["_tag"]

export const sendChecks = (harness: Harness): ReadonlyArray<Check> => [
  check("O1: what is sent arrives once, whole, in the order of the sends", arrives(harness)),
  check(
    "O2: a connection that is cut after the message was taken is ambiguous",
    meets(harness, "cut-after", "Ambiguous")
  ),
  check("O2: so is one that was kept from an earlier send", keptOne(harness)),
  check(
    "O2: a connection that is cut before it is never called a success",
    meets(harness, "cut-before", "Ambiguous", "NotSent")
  ),
  check("O2: a platform that cannot be reached has been sent nothing", unreachable(harness)),
  check(
    "O2: a platform that fails may have taken it, and is asked again",
    meets(harness, "failed", "Ambiguous", "NotSent")
  ),
  check(
    "O2: a platform that is overloaded is asked again",
    meets(harness, "overloaded", "Ambiguous", "NotSent", "Throttled")
  ),
  check("O2: no answer within `sendMaxMs` is ambiguous, and not before", silent(harness)),
  check("O3: a repetition has the same key and the same bytes, and shows nothing more", repeats(harness)),
  check("O4: a pause that the platform asks for is passed on", throttled(harness)),
  check("O4: what the platform refuses is rejected", meets(harness, "refused", "Rejected")),
  check("O4: what nobody wants any longer is rejected", meets(harness, "gone", "Rejected")),
  check("O4: a redirect is rejected, and not followed", meets(harness, "moved", "Rejected"))
]

/** The account listens: a platform that reads from us finds nobody otherwise. */
export const arrives = Effect.fnUntraced(function* (harness: Harness) {
  const { adapter, platform } = yield* listening(harness, intakeOf())
  const sent = [1, 2, 3].map(outboundOf)
  yield* Effect.forEach(sent, adapter.send)
  const arrivals = platform.arrivals()
  assert.deepEqual(
    arrivals.map(({ key }) => key),
    sent.map(({ key }) => key)
  )
  for (const [nth, { bytes, shown }] of arrivals.entries()) {
    assert(shown)
    assert(bytes.includes(sent[nth]!.text), `${bytes} does not hold the text`)
  }
})

const meets = Effect.fnUntraced(function* (harness: Harness, meeting: Meeting, ...expected: ReadonlyArray<Tag>) {
  const bench = yield* harness
  bench.platform.meet(meeting)
  const error = yield* failure(bench)
  assert(expected.includes(error._tag), `it is ${error._tag}, not ${expected.join(" or ")}`)
  assert.equal(bench.platform.arrivals().length, 1)
})

const keptOne = Effect.fnUntraced(function* (harness: Harness) {
  const { adapter, platform } = yield* harness
  platform.meet("taken", "cut-after")
  yield* adapter.send(outboundOf(1))
  assert.equal(tagOf(yield* Effect.result(adapter.send(outboundOf(2)))), "Ambiguous")
})

const unreachable = Effect.fnUntraced(function* (harness: Harness) {
  const bench = yield* harness
  yield* bench.platform.stop
  assert.equal((yield* failure(bench))._tag, "NotSent")
})

const throttled = Effect.fnUntraced(function* (harness: Harness) {
  const bench = yield* harness
  bench.platform.meet("throttled")
  const error = yield* failure(bench)
  assert(error._tag === "Throttled", `it is ${error._tag}`)
  assert.equal(error.retryAfterMs, bench.platform.throttleMs)
})

const silent = Effect.fnUntraced(function* (harness: Harness) {
  const { adapter, platform } = yield* harness
  const { sendMaxMs } = adapter.limits
  platform.meet("silent")
  const send = yield* Effect.forkScoped(Effect.result(adapter.send(outboundOf(1))))
  yield* platform.arrived(1)
  yield* settle
  yield* TestClock.adjust(sendMaxMs - 1)
  yield* settle
  assert.equal(send.pollUnsafe(), undefined, "it was given up early")
  yield* TestClock.adjust(1)
  yield* settle
  assert.notEqual(send.pollUnsafe(), undefined, "it was not given up")
  assert.equal(tagOf(yield* Fiber.join(send)), "Ambiguous")
})

/** As delivery repeats: the same message, after each failure, until it is taken. */
const repeats = Effect.fnUntraced(function* (harness: Harness) {
  const { adapter, platform } = yield* harness
  platform.meet("overloaded", "cut-before", "cut-after", "taken")
  const tags: Array<string> = []
  for (let attempt = 1; attempt <= 4; attempt++) {
    tags.push(tagOf(yield* Effect.result(adapter.send(outboundOf(1)))))
    // What a request says of its time is its own: the next one is signed anew, and its body stays as it was.
    yield* TestClock.adjust("1 hour")
  }
  assert.equal(tags.at(-1), "delivered", `the attempts were ${tags.join(", ")}`)
  if (adapter.delivery !== "idempotent") return
  const arrivals = platform.arrivals()
  assert.deepEqual(
    arrivals.map(({ key, bytes }) => ({ key, bytes })),
    Array(4).fill(pick(arrivals[0]!))
  )
  assert.equal(arrivals.filter(({ shown }) => shown).length, 1, "it was shown twice")
})

const pick = ({ bytes, key }: { readonly key: string; readonly bytes: string }) => ({ key, bytes })

const failure = Effect.fnUntraced(function* ({ adapter, secrets }: Bench) {
  const sent = yield* Effect.result(adapter.send(outboundOf(1)))
  assert(Result.isFailure(sent), "it is called delivered")
  const words = JSON.stringify({ ...sent.failure })
  for (const secret of secrets) assert(!words.includes(secret), `the error holds a secret: ${words}`)
  return sent.failure
})

function tagOf(sent: Result.Result<string, Effect.Error<ReturnType<Adapter["send"]>>>): string {
  return Result.isSuccess(sent) ? "delivered" : sent.failure._tag
}
