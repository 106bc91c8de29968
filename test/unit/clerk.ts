/** A clerk: a machine with a case for each thing that an interpreter must get right, and a journal that can be slow. */
import { Effect, Fiber } from "effect"
import { assign, emit, setup } from "xstate"
import type { Actor, Behaviour } from "../../src/actors/actor.ts"
import { interpret } from "../../src/actors/interpreter.ts"
import type { Outbound } from "../../src/domain/outbound.ts"
import type { Journal, PendingInbound } from "../../src/store/journal.ts"
import { memoryJournal, Tables } from "../property/journal-memory.ts"

export type ClerkEvent =
  | { type: "note.brought"; position: number; text: string }
  | { type: "errand.wanted"; position: number }
  | { type: "errand.done" }
  | { type: "alarm.wanted"; position: number }
  | { type: "fire.reported"; position: number }
  | { type: "weather.told"; position: number }
  | { type: "rumour.heard" }
  | { type: "actor.resumed" }
  | { type: "actor.gave-up" }

export type ClerkAction =
  | { type: "note.keep"; position: number; text: string }
  | { type: "errand.run" }
  | { type: "errand.abandon" }
  | { type: "bell.ring" }
  | { type: "rumour.pass" }

export const alarmMs = 60_000

export const clerkMachine = setup({
  types: {
    context: {} as { readonly notes: number; readonly rumours: number },
    events: {} as ClerkEvent,
    emitted: {} as ClerkAction
  },
  delays: { alarm: alarmMs },
  guards: {
    isSafe: () => {
      throw new Error("it burns")
    }
  },
  actions: {
    count: assign(({ context }) => ({ notes: context.notes + 1 })),
    listen: assign(({ context }) => ({ rumours: context.rumours + 1 })),
    keep: emit(({ event }) => {
      const { position, text } = event as Extract<ClerkEvent, { type: "note.brought" }>
      return { type: "note.keep", position, text }
    }),
    run: emit({ type: "errand.run" }),
    abandon: emit({ type: "errand.abandon" }),
    ring: emit({ type: "bell.ring" }),
    pass: emit({ type: "rumour.pass" })
  }
}).createMachine({
  id: "clerk",
  context: { notes: 0, rumours: 0 },
  initial: "idle",
  on: {
    "note.brought": { actions: ["count", "keep"] },
    "fire.reported": { guard: "isSafe", actions: "keep" },
    "rumour.heard": { actions: ["listen", "pass"] }
  },
  states: {
    idle: { on: { "errand.wanted": { target: "away", actions: "run" }, "alarm.wanted": "waiting" } },
    away: {
      on: {
        "errand.done": "idle",
        "actor.resumed": { target: "away", reenter: true, actions: "run" },
        "actor.gave-up": { target: "idle", actions: "abandon" }
      }
    },
    waiting: {
      on: { "alarm.wanted": { target: "waiting", reenter: true } },
      after: { alarm: { target: "idle", actions: "ring" } }
    }
  }
})

export type Clerk = typeof clerkMachine
/** What the person writes, where it is not a note. Nobody can read `lost`, keep `torn`, or store `blot`. */
export type Words = "errand" | "alarm" | "fire" | "weather" | "lost" | "torn" | "blot"

export const clerkBehaviour = (options: Partial<Behaviour<Clerk>> = {}): Behaviour<Clerk> => ({
  machine: clerkMachine,
  version: 1,
  migrations: {},
  input: undefined,
  refresh: (context) => context,
  mailboxMax: 4,
  isEphemeral: ({ type }) => type === "rumour.heard",
  isAtRest: ({ value }) => value !== "away",
  eventOf: ({ position, text }) => {
    if (text === "lost") throw new Error("nobody can read that")
    const types = {
      errand: "errand.wanted",
      alarm: "alarm.wanted",
      fire: "fire.reported",
      weather: "weather.told"
    } as const
    const type = types[text as keyof typeof types]
    return type === undefined ? { type: "note.brought", position, text } : { type, position }
  },
  rows: (action, { inbound, nextKey }) => {
    if (inbound?.text === "torn") throw new Error("the note is torn")
    if (action.type === "errand.abandon")
      return { outbound: [{ key: nextKey(), turn: 0, text: "abandoned", outcome: "dead" }] }
    if (action.type !== "note.keep") return {}
    const { position, text } = action
    const key = nextKey()
    return {
      messages: [{ role: "user", text: text === "blot" ? "\0" : text, turn: position, position }],
      outbound: [{ key, turn: position, text: `kept ${text}`, outcome: "answered" }],
      settle: [{ after: position - 1, upTo: position, fate: "answered", turn: position, key }]
    }
  },
  apology: ({ inbound, nextKey }) => {
    if (inbound === undefined) return {}
    const { position } = inbound
    const key = nextKey()
    return {
      outbound: [{ key, turn: 0, text: "sorry", outcome: "dead" }],
      settle: [{ after: position - 1, upTo: position, fate: "dead", key }]
    }
  },
  perform: () => Effect.void,
  close: Effect.void,
  ...options
})

export const clerkId = "test/office/clerk"

/** An office: the journal, what is delivered, and the clerk who lives now. */
export class Office {
  readonly tables = new Tables()
  readonly delivered: Array<Outbound> = []
  readonly performed: Array<string> = []
  readonly journal: Journal["Service"]
  readonly #options: Partial<Behaviour<Clerk>>
  #keys = 0

  constructor(
    options: Partial<Behaviour<Clerk>> = {},
    disturb: (journal: Journal["Service"]) => Journal["Service"] = (same) => same
  ) {
    this.journal = disturb(memoryJournal(this.tables))
    this.#options = options
  }

  actor(options: Partial<Behaviour<Clerk>> = {}): Actor<Clerk> {
    const perform = (action: ClerkAction) => Effect.sync(() => void this.performed.push(action.type))
    const behaviour = clerkBehaviour({ perform, ...this.#options, ...options })
    return interpret(clerkId, behaviour, this.journal, (owed) => void this.delivered.push(...owed))
  }

  /** The next clerk, at work until its scope closes. */
  open(options: Partial<Behaviour<Clerk>> = {}) {
    return Effect.gen({ self: this }, function* () {
      const actor = this.actor(options)
      const fiber = yield* Effect.forkScoped(actor.run, { startImmediately: true })
      return { actor, fiber, die: Effect.asVoid(Fiber.interrupt(fiber)) }
    })
  }

  /** Makes an event durable; whoever is to be told of it is told by the caller. */
  bring(text: Words | (string & {}), thread = "clerk"): PendingInbound {
    const known = { channel: "test", account: "office", thread, user: { id: "ada" }, text }
    const { conversation, position } = Effect.runSync(
      memoryJournal(this.tables).accept({ ...known, eventKey: `${++this.#keys}` }, () => {})
    )
    return { conversation, position, eventKey: `${this.#keys}`, user: known.user, text }
  }

  /** The types of the events that were written. */
  get types(): ReadonlyArray<string> {
    return this.tables.entries.map(({ event }) => event.type)
  }

  /** The positions that entries have handled, in their order. */
  get handled(): ReadonlyArray<number> {
    return this.tables.entries.flatMap(({ handled }, index) =>
      handled === (this.tables.entries[index - 1]?.handled ?? 0) ? [] : [handled]
    )
  }
}
