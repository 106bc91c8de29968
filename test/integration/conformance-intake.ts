/** What every adapter owes the events that its platform delivers (DESIGN.md, I1 to I5). */
import assert from "node:assert/strict"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { NotAccepted, type WebRequest } from "../../src/adapters/adapter.ts"
import { storable } from "../../src/domain/inbound.ts"
import {
  assertTold,
  type Bench,
  type Check,
  check,
  eventOf,
  type Harness,
  type HttpBench,
  intakeOf,
  listening,
  settle
} from "./conformance-bench.ts"

export const intakeChecks = (harness: Harness): ReadonlyArray<Check> => [
  check("I1: an event is acknowledged after it is durable, and not before", durableFirst(harness)),
  check("I2: an event that is delivered twice is handed over twice, with one key", keptKey(harness)),
  check("I3: events are handed over in the order in which the platform sent them", keptOrder(harness)),
  check("I5: what cannot be kept is not acknowledged, and is asked for again", askedAgain(harness)),
  check("I5: nothing is acknowledged by an account that does not listen", deafWhenClosed(harness)),
  check("every text is handed over whole, in a form that can be stored", storableTexts(harness))
]

const durableFirst = Effect.fnUntraced(function* (harness: Harness) {
  const durable = yield* Deferred.make<void>()
  const intake = intakeOf(() => Deferred.await(durable))
  const { platform } = yield* listening(harness, intake)
  const delivery = yield* Effect.forkScoped(platform.deliver(eventOf(1)))
  yield* settle
  assert.equal(intake.received.length, 1, "the event was not handed over")
  assert.equal(delivery.pollUnsafe(), undefined, "the platform was told before the event was durable")
  yield* Deferred.succeed(durable, undefined)
  assertTold(yield* Fiber.join(delivery), "acknowledged")
})

const keptKey = Effect.fnUntraced(function* (harness: Harness) {
  const intake = intakeOf()
  const { platform } = yield* listening(harness, intake)
  const told = yield* Effect.forEach([1, 1, 2], (nth) => platform.deliver(eventOf(nth)))
  for (const [index, one] of told.entries()) {
    assert(one.as === "acknowledged", `the platform was told ${JSON.stringify(one)}`)
    assert.equal(one.duplicate ?? index === 1, index === 1)
  }
  const [first, second, other] = intake.received.map(({ eventKey }) => eventKey)
  assert.equal(first, second)
  assert.notEqual(first, other)
})

const keptOrder = Effect.fnUntraced(function* (harness: Harness) {
  const sent = Array.from({ length: 20 }, (_, nth) => eventOf(nth))
  const intake = intakeOf((nth) => Effect.sleep(1_000 - nth))
  const { platform } = yield* listening(harness, intake)
  const deliveries = yield* Effect.forEach(sent, (event) => Effect.forkScoped(platform.deliver(event)))
  yield* settle
  yield* Effect.forEach(sent, () => Effect.andThen(TestClock.adjust(1_000), settle), { discard: true })
  for (const told of yield* Fiber.joinAll(deliveries)) assertTold(told, "acknowledged")
  const texts = intake.received.map(({ text }) => text)
  assert.deepEqual(
    texts,
    sent.map(({ text }) => text)
  )
})

const askedAgain = Effect.fnUntraced(function* (harness: Harness) {
  const retryAfterMs = 1_500
  const refusal = new NotAccepted({ reason: "inbox-full", retryAfterMs })
  const intake = intakeOf((nth) => (nth === 1 ? Effect.fail(refusal) : Effect.void))
  const { platform } = yield* listening(harness, intake)
  const told = yield* platform.deliver(eventOf(1))
  assert(told.as === "later", `the platform was told ${JSON.stringify(told)}`)
  assert(told.afterMs >= retryAfterMs, `it is asked again after ${told.afterMs} ms`)
  assertTold(yield* platform.deliver(eventOf(1)), "acknowledged")
  assert.equal(intake.received.length, 2, "the repetition was not handed over")
})

const deafWhenClosed = Effect.fnUntraced(function* (harness: Harness) {
  const intake = intakeOf()
  const { platform, stopListening } = yield* listening(harness, intake)
  yield* stopListening
  assertTold(yield* platform.deliver(eventOf(1)), "later")
  assert.equal(intake.received.length, 0)
})

const storableTexts = Effect.fnUntraced(function* (harness: Harness) {
  const intake = intakeOf()
  const { platform } = yield* listening(harness, intake)
  const unit = fc.oneof(
    { arbitrary: fc.string({ unit: "binary", maxLength: 3 }), weight: 4 },
    fc.constantFrom("\0", "\ud83d", "\ude00", "\\u0000")
  )
  const texts = fc.sample(
    fc.array(unit, { minLength: 1, maxLength: 40 }).map((units) => units.join("")),
    { numRuns: 100, seed: 1 }
  )
  for (const [nth, text] of texts.filter((text) => text !== "").entries()) {
    assertTold(yield* platform.deliver(eventOf(nth, text)), "acknowledged")
    assert.equal(intake.received.at(-1)?.text, storable(text))
  }
})

/** Of platforms that call us, and sign what they say. */
export const httpChecks = (harness: Harness): ReadonlyArray<Check> => [
  check("a request of which one byte was changed is refused with 401, and goes no further", changedByte(harness)),
  check("a request without one of its signed headers is refused with 401, and the answer names it", missing(harness)),
  check("a request is good for as long as it may be replayed, and no longer", replay(harness)),
  check("what is not of the form is refused, and the answer names the field", malformed(harness)),
  check("a text of the longest length is taken whole, and a longer one refused with 413", longest(harness))
]

/** Whatever a stranger sends must end in this, and never reach intake. */
const refusal = Effect.fnUntraced(function* ({ adapter, secrets }: Bench, request: WebRequest) {
  const { body, status } = yield* adapter.receive!(request)
  const words = JSON.stringify(body)
  for (const secret of secrets) assert(!words.includes(secret), "the answer holds a secret")
  return { status, words }
})

const withHttp = Effect.fnUntraced(function* (harness: Harness) {
  const intake = intakeOf()
  const bench: Bench = yield* listening(harness, intake)
  const http: HttpBench = bench.http!
  return { bench, http, intake }
})

const changedByte = Effect.fnUntraced(function* (harness: Harness) {
  const { bench, http, intake } = yield* withHttp(harness)
  const request = yield* http.signed(eventOf(1))
  const change = fc.record({
    where: fc.constantFrom("body", ...http.signedHeaders),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    bits: fc.integer({ min: 1, max: 127 })
  })
  const property = fc.asyncProperty(change, async ({ at, bits, where }) => {
    const { status } = await Effect.runPromise(
      refusal(bench, changed(request, where, at, bits)).pipe(Effect.provide(TestClock.layer()))
    )
    assert.equal(status, 401)
    assert.equal(intake.received.length, 0)
  })
  yield* Effect.promise(() => fc.assert(property, { numRuns: 500 }))
})

function changed({ body, headers }: WebRequest, where: string, at: number, bits: number): WebRequest {
  const bytes = Buffer.from(where === "body" ? body : headers[where]!)
  const index = Math.floor(at * bytes.length)
  bytes.writeUInt8(bytes.readUInt8(index) ^ bits, index)
  return where === "body" ? { headers, body: bytes } : { headers: { ...headers, [where]: bytes.toString() }, body }
}

const missing = Effect.fnUntraced(function* (harness: Harness) {
  const { bench, http, intake } = yield* withHttp(harness)
  const { body, headers } = yield* http.signed(eventOf(1))
  for (const name of http.signedHeaders) {
    const { status, words } = yield* refusal(bench, { headers: { ...headers, [name]: undefined }, body })
    assert.equal(status, 401)
    assert(words.includes(name), words)
  }
  assert.equal(intake.received.length, 0)
})

const replay = Effect.fnUntraced(function* (harness: Harness) {
  const { bench, http, intake } = yield* withHttp(harness)
  const request = yield* http.signed(eventOf(1))
  yield* TestClock.adjust(http.replayMaxMs)
  const { status } = yield* bench.adapter.receive!(request)
  assert.equal(status, 202)
  yield* TestClock.adjust(1_000)
  assert.equal((yield* refusal(bench, request)).status, 401)
  assert.equal(intake.received.length, 1)
  yield* TestClock.setTime(0)
  const early = yield* Effect.andThen(TestClock.setTime(http.replayMaxMs + 1_000), http.signed(eventOf(2)))
  yield* TestClock.setTime(0)
  assert.equal((yield* refusal(bench, early)).status, 401)
})

const malformed = Effect.fnUntraced(function* (harness: Harness) {
  const { bench, http, intake } = yield* withHttp(harness)
  for (const { body, names, status } of http.malformed) {
    const answer = yield* refusal(bench, yield* http.sealed(Buffer.from(body)))
    assert.equal(answer.status, status, `${body.slice(0, 80)}: ${answer.words}`)
    assert(answer.words.includes(`${names}: `), `${body.slice(0, 80)}: ${answer.words} does not name ${names}`)
  }
  assert.equal(intake.received.length, 0)
})

const longest = Effect.fnUntraced(function* (harness: Harness) {
  const { bench, http, intake } = yield* withHttp(harness)
  const fits = yield* http.signed(eventOf(1, "x".repeat(http.textMax)))
  assert.equal((yield* bench.adapter.receive!(fits)).status, 202)
  assert.equal(intake.received[0]?.text.length, http.textMax)
  const { status, words } = yield* refusal(bench, yield* http.signed(eventOf(2, "x".repeat(http.textMax + 1))))
  assert.equal(status, 413)
  assert(words.includes("text: "), words)
  assert.equal(intake.received.length, 1)
})
