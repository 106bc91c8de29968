/** A platform that does to each send what a test tells it to, and conversations that owe it messages. */
import { Clock, Effect, type Scope } from "effect"
import { type Delivery, makeDelivery } from "../../src/actors/delivery.ts"
import type { Adapter, NotSent, Receipt, SendError } from "../../src/adapters/adapter.ts"
import { outboundKey } from "../../src/domain/ids.ts"
import type { Outbound } from "../../src/domain/outbound.ts"
import type { DeliveryLimits } from "../../src/machines/delivery.ts"
import type { Journal } from "../../src/store/journal.ts"
import { memoryJournal, Tables } from "../property/journal-memory.ts"

export const limits: DeliveryLimits = { attemptsMax: 4, ageMaxMs: 3_600_000, delayMinMs: 100, delayMaxMs: 1_000 }
export const sendMaxMs = 5_000
export const conversationOf = (thread: string) => `test/post/${thread}`

export interface Send {
  readonly text: string
  readonly key: string
  readonly atMs: number
  /** How many attempts were durable when it was sent. */
  readonly recorded: number
}

export class PostOffice {
  readonly tables = new Tables()
  readonly sends: Array<Send> = []
  readonly finds: Array<string> = []
  readonly #sendScripts = new Map<string, Array<Effect.Effect<Receipt, SendError>>>()
  readonly #findScript: Array<Effect.Effect<Receipt | undefined, NotSent>> = []
  readonly journal: Journal["Service"]
  readonly #options: { readonly isReadable?: boolean; readonly linesMax?: number; readonly limits?: DeliveryLimits }

  constructor(
    options: {
      readonly isReadable?: boolean
      readonly linesMax?: number
      readonly limits?: DeliveryLimits
      readonly disturb?: (journal: Journal["Service"]) => Journal["Service"]
    } = {}
  ) {
    this.#options = options
    const journal = memoryJournal(this.tables)
    this.journal = options.disturb?.(journal) ?? journal
  }

  /** Delivery until the scope closes. Where it `hasSwept`, it knows that nobody else owes anything. */
  open(hasSwept = true): Effect.Effect<Delivery, never, Scope.Scope> {
    const { limits: own = limits, linesMax = 100 } = this.#options
    return Effect.map(
      makeDelivery({ adapter: this.#adapter, journal: this.journal, limits: own, linesMax }),
      (delivery) => {
        if (hasSwept) {
          delivery.sweepBegins()
          delivery.sweepEnds()
        }
        return delivery
      }
    )
  }

  /** What the sends of a text meet, one each; the ones after them are taken. */
  meet(text: string, ...outcomes: ReadonlyArray<Effect.Effect<Receipt, SendError>>): void {
    this.#sendScripts.set(text, [...outcomes])
  }

  /** What look-ups find, one each; the ones after them find nothing. */
  show(...outcomes: ReadonlyArray<Effect.Effect<Receipt | undefined, NotSent>>): void {
    this.#findScript.push(...outcomes)
  }

  get #adapter(): Adapter {
    const { isReadable = false } = this.#options
    return {
      channel: "test",
      account: "post",
      delivery: isReadable ? "readable" : "idempotent",
      limits: { textMax: 1_000, textUnit: "code-points", sendMaxMs },
      capabilities: { edit: false, typing: false, attachments: false },
      listen: () => Effect.never,
      send: ({ key, text }) =>
        Effect.flatMap(Clock.currentTimeMillis, (atMs) => {
          this.sends.push({ text, key, atMs, recorded: this.resultsOf(key).length })
          return this.#sendScripts.get(text)?.shift() ?? Effect.succeed("receipt")
        }),
      ...(isReadable && {
        find: ({ text }) =>
          Effect.suspend(() => {
            this.finds.push(text)
            return this.#findScript.shift() ?? Effect.succeed(undefined)
          })
      })
    }
  }

  /** Commits an entry that owes the texts, of which delivery is told by whoever calls. */
  owe(thread: string, ...texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Outbound>> {
    const conversation = conversationOf(thread)
    const seq = this.tables.entries.filter((entry) => entry.conversation === conversation).length + 1
    return Effect.flatMap(Clock.currentTimeMillis, (atMs) =>
      Effect.orDie(
        memoryJournal(this.tables).commit({
          ...{
            conversation,
            seq,
            atMs,
            event: { type: "turn.ended" },
            timers: [],
            handled: 0,
            open: false,
            defects: 0
          },
          ...{
            snapshot: { machine: "test", version: 1, value: "done", context: {} },
            messageSeq: 0,
            deliveryVersion: 1
          },
          ...{ messages: [], settle: [], deadLetters: [] },
          outbound: texts.map((text, index) => {
            return { key: outboundKey(conversation, seq, index), turn: seq, text, outcome: "answered" }
          })
        })
      )
    )
  }

  get texts(): ReadonlyArray<string> {
    return this.sends.map(({ text }) => text)
  }

  resultsOf(key: string): ReadonlyArray<string | undefined> {
    return this.tables.outbound.find(({ outbound }) => outbound.key === key)!.results
  }

  /** What became of the messages, in the order in which they are owed. */
  get states(): ReadonlyArray<string> {
    return this.tables.outbound.map(
      ({ outbound, results, state }) => `${outbound.text}: ${results.join(", ")}; ${state}`
    )
  }
}
