/**
 * Stories that a journal lives through: what two owners write into it, what it answers, and what is read after each
 * burst.
 */
import { Effect, Exit, Option } from "effect"
import fc from "fast-check"
import { conversationId, outboundKey } from "../../src/domain/ids.ts"
import { type Fate, type Inbound, storable } from "../../src/domain/inbound.ts"
import type { AttemptEnd, Due, Entry, Journal, Loaded, StoredMessage } from "../../src/store/journal.ts"
import type { Cut } from "../integration/cutting-proxy.ts"

/** A journal with two owners, who share its tables. */
export interface Bench {
  readonly owners: readonly [Journal["Service"], Journal["Service"]]
  /** What the next write of the first owner meets; nothing where no connection can be lost. */
  readonly cut: (cut: Cut) => void
}

const thread = fc.constantFrom("lane", "hill")
const text = fc.oneof(
  { weight: 9, arbitrary: fc.string({ maxLength: 5 }).filter((text) => !text.includes("\0")) },
  { weight: 1, arbitrary: fc.constantFrom("a\0b", "\ud83d") }
)
const poison = fc.oneof({ weight: 9, arbitrary: fc.constant("") }, { weight: 1, arbitrary: fc.constant("\0") })
// `again` says how many events ago the same key came: platforms deliver twice, and soon.
const accepts = fc.record({
  type: fc.constant("accept" as const),
  thread,
  text,
  again: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) })
})
// `late` says how many entries an owner does not know of, because another one wrote them.
const late = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(1, 2) })
const commits = fc.record({
  type: fc.constant("commit" as const),
  thread,
  late,
  poison,
  /** How many of the events it knows of are handled by this one. */
  handles: fc.nat({ max: 6 }),
  fate: fc.constantFrom<Fate | "pending">("pending", "pending", "answered", "ignored", "superseded", "shed", "dead"),
  /** Gives its fate to the last event only, and leaves the earlier ones pending. */
  isCommand: fc.constantFrom(false, false, true),
  messages: fc.nat({ max: 2 }),
  outbound: fc.constantFrom(0, 1, 1, 2),
  timers: fc.nat({ max: 2 }),
  defects: fc.nat({ max: 2 })
})
// `nth` counts among the messages that are owed, so that most attempts meet one.
const nth = fc.nat({ max: 2 })
const begins = fc.record({ type: fc.constant("begin" as const), thread, nth, late, poison: fc.constant("") })
const ends = fc.record({
  type: fc.constant("end" as const),
  thread,
  nth,
  poison,
  state: fc.constantFrom<AttemptEnd["state"]>("due", "delivered", "dead")
})
const step = fc.oneof(
  { weight: 5, arbitrary: accepts },
  { weight: 5, arbitrary: commits },
  { weight: 4, arbitrary: begins },
  { weight: 4, arbitrary: ends }
)
const burst = fc.record({
  /** They are written together. */
  steps: fc.array(step, { minLength: 1, maxLength: 9, size: "max" }),
  owner: fc.constantFrom(0 as const, 0 as const, 1 as const),
  cut: fc.option(fc.constantFrom<Cut>("before", "after"), { freq: 3, nil: undefined })
})
export const story = fc.array(burst, { minLength: 4, maxLength: 14, size: "max" })
export type Story = typeof story extends fc.Arbitrary<infer S> ? S : never
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

export type Deed = Outcome & {
  readonly owner: number
  /** It has a text that cannot be stored. */
  readonly isPoisoned: boolean
} & (
    | { readonly type: "accept"; readonly inbound: Inbound }
    | { readonly type: "commit"; readonly entry: Entry }
    | { readonly type: "begin"; readonly key: string; readonly n: number }
    | { readonly type: "end"; readonly end: AttemptEnd }
  )
interface Outcome {
  readonly answer: unknown
  /** The tag of the error. */
  readonly failure: string | undefined
}
type Asked<D = Deed> = D extends unknown ? Omit<D, keyof Outcome> : never

export interface View {
  readonly loaded: Loaded
  readonly due: ReadonlyArray<Due>
  readonly messages: ReadonlyArray<StoredMessage>
}

export interface Moment {
  readonly deeds: ReadonlyArray<Deed>
  /** The positions that the journal told of, in the order in which it did. */
  readonly told: ReadonlyArray<number>
  readonly views: ReadonlyMap<string, View>
}

export const readMax = 3
const threads = ["lane", "hill"]
const conversationOf = (account: string, thread: string) => conversationId("test", account, thread)

/** What the owners remember of a conversation; the journal's answers are the only source. */
interface Memory {
  readonly entries: Array<Entry>
  readonly positions: Array<number>
  readonly owed: Map<string, typeof fresh>
}

/** A message of which no attempt was made. */
const fresh = { attempts: 0, isRunning: false }

/** `between` is run beside every burst. */
export const live = Effect.fnUntraced(function* (
  { cut, owners }: Bench,
  account: string,
  story: Story,
  between: Effect.Effect<void> = Effect.void
) {
  const memories = new Map<string, Memory>()
  for (const thread of threads) memories.set(thread, { entries: [], positions: [], owed: new Map() })
  const keys: Array<string> = []
  const moments: Array<Moment> = []
  for (const [nth, burst] of story.entries()) {
    const isTaken = new Set<string>()
    const asked = burst.steps.flatMap((step, index) => {
      const one = deedOf(step, account, memories.get(step.thread)!, keys, nth * 100 + index)
      const id = one?.type === "accept" ? `${index}` : `${one?.type === "commit" ? "entry" : "attempt"} ${step.thread}`
      // An owner writes the next entry or attempt of a conversation when it knows what became of the last one.
      if (one === undefined || isTaken.has(id)) return []
      isTaken.add(id)
      return [{ ...one, owner: burst.owner } as Asked]
    })
    if (burst.cut && burst.owner === 0 && asked.length > 0) cut(burst.cut)
    const told: Array<number> = []
    const journal = owners[burst.owner]
    const writing = Effect.forEach(asked, (one) => Effect.exit(perform(journal, one, told)), {
      concurrency: "unbounded"
    })
    const [exits] = yield* Effect.all([writing, between], { concurrency: "unbounded" })
    const deeds = asked.map((one, index) => ({ ...one, ...outcomeOf(exits[index]!) }) as Deed)
    for (const deed of deeds) remember(memories, deed)
    const views = new Map<string, View>()
    for (const thread of threads) {
      const id = conversationOf(account, thread)
      views.set(id, yield* viewOf(owners[0], id))
    }
    moments.push({ deeds, told, views })
  }
  return moments
})

const perform = (journal: Journal["Service"], asked: Asked, told: Array<number>): Effect.Effect<unknown, unknown> => {
  switch (asked.type) {
    case "accept":
      return journal.accept(asked.inbound, ({ duplicate, position }) => void (duplicate || told.push(position)))
    case "commit":
      return journal.commit(asked.entry)
    case "begin":
      return journal.begin({ conversation: "test/account/thread", key: asked.key, n: asked.n, atMs: 0 })
    case "end":
      return journal.end(asked.end)
  }
}

function outcomeOf(exit: Exit.Exit<unknown, unknown>): Outcome {
  if (Exit.isSuccess(exit)) return { answer: exit.value, failure: undefined }
  const error = Option.getOrUndefined(Exit.findErrorOption(exit)) as { readonly _tag: string } | undefined
  return { answer: undefined, failure: error?._tag ?? `it died: ${String(exit.cause)}` }
}

const viewOf = Effect.fnUntraced(function* (journal: Journal["Service"], conversation: string) {
  const loaded = yield* journal.load(conversation, readMax)
  const due = yield* journal.due(conversation, readMax)
  const turn = Math.max(0, (loaded.stored?.seq ?? 0) - 1)
  return { loaded, due, messages: yield* journal.messages(conversation, turn, readMax) }
})

function remember(memories: Map<string, Memory>, deed: Deed): void {
  if (deed.failure !== undefined) return
  const memoryOf = (thread: string) => memories.get(thread)!
  if (deed.type === "accept") {
    const { duplicate, position } = deed.answer as { readonly duplicate: boolean; readonly position: number }
    if (!duplicate) memoryOf(deed.inbound.thread).positions.push(position)
  } else if (deed.type === "commit") {
    const memory = memoryOf(deed.entry.conversation.split("/")[2]!)
    memory.entries.push(deed.entry)
    for (const { key } of deed.entry.outbound) memory.owed.set(key, fresh)
  } else {
    const key = deed.type === "begin" ? deed.key : deed.end.key
    const { owed } = [...memories.values()].find(({ owed }) => owed.has(key))!
    if (deed.type === "begin") owed.set(key, { attempts: deed.n, isRunning: true })
    else if (deed.end.state === "due") owed.set(key, { attempts: deed.end.n, isRunning: false })
    else owed.delete(key)
  }
}

function deedOf(step: Step, account: string, memory: Memory, keys: Array<string>, nth: number): Asked | undefined {
  const conversation = conversationOf(account, step.thread)
  const [key, { attempts, isRunning } = fresh] = "nth" in step ? ([...memory.owed][step.nth] ?? []) : []
  const known = { owner: 0, isPoisoned: "text" in step ? storable(step.text) !== step.text : step.poison !== "" }
  switch (step.type) {
    case "accept": {
      const eventKey = (step.again === 0 ? undefined : keys.at(-step.again)) ?? `event-${nth}`
      keys.push(eventKey)
      const user = { id: `user-${nth % 3}`, ...(nth % 2 === 0 && { name: "Ada" }) }
      const inbound = { channel: "test", account, eventKey, thread: step.thread, user, text: step.text }
      return { ...known, type: "accept", inbound }
    }
    case "commit":
      return { ...known, type: "commit", entry: entryOf(step, conversation, memory, nth) }
    case "begin":
      return key === undefined ? undefined : { ...known, type: "begin", key, n: Math.max(1, attempts + 1 - step.late) }
    case "end": {
      if (key === undefined || !isRunning) return undefined
      const result = step.state === "delivered" ? "delivered" : "not-sent"
      const said = { result, reason: `a reason${step.poison}`, receipt: "" } as const
      const end = { conversation, key, n: attempts, atMs: nth, ...said, state: step.state, dueAtMs: nth + 5 }
      return { ...known, type: "end", end }
    }
  }
}

function entryOf(step: Extract<Step, { type: "commit" }>, conversation: string, memory: Memory, nth: number): Entry {
  const last = memory.entries.at(-1 - step.late)
  const seq = (last?.seq ?? 0) + 1
  const messageSeq = (last?.messageSeq ?? 0) + step.messages
  const unhandled = memory.positions.filter((position) => position > (last?.handled ?? 0))
  const handled = unhandled[Math.min(step.handles, unhandled.length) - 1] ?? last?.handled ?? 0
  const outbound = Array.from({ length: step.outbound }, (_, index) => {
    const key = outboundKey(conversation, seq, index)
    return { key, turn: seq, text: `answer ${nth}`, outcome: "answered" } as const
  })
  const key = outbound[0]?.key
  const after = step.isCommand ? handled - 1 : 0
  const settled = { after, upTo: handled, turn: seq, ...(key !== undefined && { key }) }
  return {
    conversation,
    seq,
    atMs: nth,
    event: { type: `event ${nth}`, position: nth } as Entry["event"],
    snapshot: { machine: "test", version: 1, value: { deep: "state" }, context: { nth, text: `is${step.poison}` } },
    timers: Array.from({ length: step.timers }, (_, id) => ({ id: `t${id}`, event: "rang", armed: nth, dueAtMs: nth })),
    handled,
    open: step.timers > 0,
    defects: step.defects,
    messageSeq,
    deliveryVersion: 1,
    messages: Array.from({ length: step.messages }, (_, index) => {
      const role = (["user", "assistant", "notice"] as const)[index % 3]!
      return { role, text: `text ${nth}`, turn: seq, ...(handled > 0 && { position: handled }) }
    }),
    outbound,
    settle: step.fate === "pending" ? [] : [{ ...settled, fate: step.fate }],
    deadLetters: step.fate === "dead" ? [{ kind: "turn", reference: String(seq), reason: "it broke" }] : []
  }
}
