/**
 * The people of the kill tests: each writes into a conversation of their own, the next message after the last one was
 * acknowledged; some messages arrive twice or three times, also while the first is on its way, and some say /stop.
 */
import { Clock, Deferred, Effect, Queue, type Scope } from "effect"
import { keyOf, sign } from "../../src/adapters/webhook/signature.ts"
import { type Luck, luckOf } from "./seeded.ts"
import { type Acknowledgement, makeSender, type Refused, type SentEvent, type Unacknowledged } from "./sender.ts"

export interface Sent extends SentEvent {
  readonly isStop: boolean
}

export interface Load {
  /** Lets so many more messages be written, one after the other in a short while. */
  readonly release: (count: number) => Effect.Effect<void>
  readonly released: () => number
  /** In the order in which they were first sent. */
  readonly sent: () => ReadonlyArray<Sent>
  readonly acknowledgements: () => ReadonlyArray<Acknowledgement>
  /** Succeeds in the tick in which so many messages, copies left out, are acknowledged. */
  readonly acknowledged: (count: number) => Effect.Effect<void>
  readonly acknowledgedCount: () => number
  /** Succeeds when all that was released is acknowledged. */
  readonly settled: Effect.Effect<void>
  /** The ids of what is being sent. */
  readonly open: () => ReadonlyArray<string>
  /**
   * Writes one message more, of so many characters, into a conversation apart, and tries once. One that was not
   * accepted is the next one's again.
   */
  readonly probe: (characters: number) => Effect.Effect<Answered>
  /** Fails with what no repetition changes. */
  readonly broken: Effect.Effect<never, Refused | Unacknowledged>
}

export interface Answered {
  /** 0: nobody answered. */
  readonly status: number
  readonly retryAfter: string | null
}

export interface LoadOptions {
  readonly url: string
  readonly secret: string
  readonly seed: string
  readonly conversations: number
}

/** A server that is killed over and over is away for seconds; one that never comes back fails the test. */
const senderLimits = { retryMs: 50, attemptMaxMs: 15_000, eventMaxMs: 120_000 }
/** A server that hangs on its database gives that up after 30 s. */
const probeMaxMs = 60_000
const paceMs = 15
const copyDelayMaxMs = 1_500
const shares = { stop: 0.04, drop: 0.03, twin: 0.12, copy: 0.12 }

/** Ends with the scope. */
export const openLoad = Effect.fn("openLoad")(function* (
  options: LoadOptions
): Effect.fn.Return<Load, never, Scope.Scope> {
  const { conversations, secret, seed, url } = options
  const sender = makeSender({ ...senderLimits, url, secret })
  const prober = makeProber(options)
  const permits = yield* Queue.unbounded<void>()
  const broken = yield* Deferred.make<never, Refused | Unacknowledged>()
  const waiting: Array<{ readonly count: number; readonly done: Deferred.Deferred<void> }> = []
  const tally: Tally = { sent: [], open: [], acknowledged: 0, released: 0 }

  const send = (event: Sent) =>
    Effect.suspend(() => {
      tally.open.push(event.id)
      return sender.send(event)
    }).pipe(
      Effect.tapError((error) => Deferred.fail(broken, error)),
      Effect.ensuring(Effect.sync(() => tally.open.splice(tally.open.indexOf(event.id), 1)))
    )
  const acknowledge = () => {
    tally.acknowledged++
    for (const { count, done } of waiting) if (tally.acknowledged >= count) Deferred.doneUnsafe(done, Effect.void)
  }
  for (let number = 1; number <= conversations; number++) {
    const conversation = `c${String(number).padStart(2, "0")}`
    const luck = luckOf(`${seed}/${conversation}`)
    yield* Effect.forkScoped(write({ conversation, luck, permits, tally, send, acknowledge }))
  }
  const pace = luckOf(`${seed}/pace`)
  const scope = yield* Effect.scope
  const offerAll = Effect.fnUntraced(function* (count: number) {
    for (let left = count; left > 0; left--) {
      yield* Queue.offer(permits, undefined)
      yield* Effect.sleep(2 * pace() * paceMs)
    }
  })
  return {
    release: (count) =>
      Effect.suspend(() => {
        tally.released += count
        return Effect.asVoid(Effect.forkIn(offerAll(count), scope))
      }),
    released: () => tally.released,
    sent: () => [...tally.sent, ...prober.sent],
    acknowledgements: () => [...sender.acknowledgements(), ...prober.acknowledgements],
    acknowledged: (count) =>
      Effect.suspend(() => {
        if (tally.acknowledged >= count) return Effect.void
        const done = Deferred.makeUnsafe<void>()
        waiting.push({ count, done })
        return Deferred.await(done)
      }),
    acknowledgedCount: () => tally.acknowledged,
    settled: Effect.gen(function* () {
      while (tally.acknowledged < tally.released || tally.open.length > 0) yield* Effect.sleep(20)
    }),
    open: () => tally.open,
    probe: prober.probe,
    broken: Deferred.await(broken)
  }
})

interface Tally {
  readonly sent: Array<Sent>
  /** The ids of what is being sent, copies too. */
  readonly open: Array<string>
  acknowledged: number
  released: number
}

interface Writing {
  readonly conversation: string
  readonly luck: Luck
  readonly permits: Queue.Queue<void>
  readonly tally: Tally
  readonly send: (event: Sent) => Effect.Effect<unknown, Refused | Unacknowledged>
  readonly acknowledge: () => void
}

const write = Effect.fnUntraced(function* ({ acknowledge, conversation, luck, permits, send, tally }: Writing) {
  const copy = (event: Sent, delayMs: number) =>
    Effect.forkScoped(Effect.andThen(Effect.sleep(delayMs), send(event)), { startImmediately: true })
  for (let nth = 1; ; nth++) {
    yield* Queue.take(permits)
    const event = eventOf(luck, conversation, nth)
    tally.sent.push(event)
    if (luck() < shares.twin) yield* copy(event, 0)
    if (luck() < shares.copy) yield* copy(event, luck() * copyDelayMaxMs)
    yield* send(event)
    acknowledge()
  }
})

function makeProber({ secret, url }: LoadOptions) {
  const sent: Array<Sent> = []
  const key = keyOf(secret)!
  const acknowledgements: Array<Acknowledgement> = []
  let open: Sent | undefined
  const probe = Effect.fn("Load.probe")(function* (characters: number) {
    const id = open?.id ?? `probe.e${acknowledgements.length + 1}`
    const text = id.padEnd(characters, " lorem")
    if (open === undefined) {
      open = { id, conversation: "probe", user: { id: "user of probe" }, text, isStop: false }
      sent.push(open)
    }
    const { conversation, user } = open
    const body = JSON.stringify({ conversation, user, text: open.text })
    const at = yield* Clock.currentTimeMillis
    const headers = { "content-type": "application/json", ...sign(key, id, at, body) }
    const signal = AbortSignal.timeout(probeMaxMs)
    const response = yield* Effect.promise(() =>
      fetch(url, { method: "POST", headers, body, signal }).catch((): undefined => undefined)
    )
    if (response === undefined) return { status: 0, retryAfter: null }
    const { status } = response
    const answer = yield* Effect.promise(() => response.text())
    if (status === 202) {
      acknowledgements.push({ id, at, attempts: 1, duplicate: JSON.parse(answer).duplicate })
      open = undefined
    }
    return { status, retryAfter: response.headers.get("retry-after") }
  })
  return { probe, sent, acknowledgements }
}

const words = "lorem ipsum “dolor” sit amet, naïve 你好 🙂👩‍👩‍👧 \\n {json: [1]} — façade".split(" ")

/** A text says whose it is and which one, so that an answer that was spliced cannot look like another one. */
function eventOf(luck: Luck, conversation: string, nth: number): Sent {
  const id = `${conversation}.e${nth}`
  const user = { id: `user of ${conversation}` }
  const kind = luck()
  if (kind < shares.stop) return { id, conversation, user, text: "/stop", isStop: true }
  const chosen = Array.from({ length: 1 + Math.floor(luck() * 9) }, () => words[Math.floor(luck() * words.length)])
  const drop = kind < shares.stop + shares.drop ? " !once drop 3" : ""
  return { id, conversation, user, text: `${id} ${chosen.join(" ")}${drop}`, isStop: false }
}
