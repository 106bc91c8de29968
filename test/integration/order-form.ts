/** Joins the order form to a shop: all that a developer writes beside the machine. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { Actor, Behaviour, Facts } from "../../src/actors/actor.ts"
import type { Journal, PendingInbound, Rows } from "../../src/store/journal.ts"
import {
  type Answers,
  type OrderFormAction,
  type OrderFormContext,
  type OrderFormEvent,
  type OrderFormSettings,
  orderForm,
  type Question,
  version
} from "./order-form-machine.ts"
import { from1To2, orderForm1 } from "./order-form-machine-1.ts"

export const channel = "order-form"

type Machine = typeof orderForm

const questions: Record<Question, string> = {
  what: "What would you like to order?",
  "how-many": "How many of it?",
  "where-to": "Where shall it go?",
  address: "Where shall it go?"
}
const repeated = "That is no number. How many of it?"
const cancelled = "Nothing is ordered."
const failed = "The shop does not answer. Please order again later."
const unreadable = "I could not read that."

/** A person's message, the question that follows it, and its reminder. */
const turnMessagesMax = 3

export interface PlacedOrder {
  /** The same whenever the order is placed again. */
  readonly key: string
  readonly customer: string
  readonly what: string
  readonly howMany: string
  readonly address: string
}

export interface Shop {
  /** Gives the order's number. May be called again for the same key. */
  readonly place: (order: PlacedOrder) => Effect.Effect<number>
}

export interface OrderFormOptions extends OrderFormSettings {
  /** Which release of the form runs. */
  readonly release: 1 | 2
}

export interface OrderFormServices {
  readonly journal: Journal["Service"]
  readonly shop: Shop
}

/** How the conversation `id` with a person who orders behaves. */
export function orderFormBehaviour(
  id: string,
  { release, ...settings }: OrderFormOptions,
  services: OrderFormServices
): Behaviour<Machine> {
  let placing: Fiber.Fiber<void> | undefined
  const close = Effect.suspend(() => (placing === undefined ? Effect.void : Fiber.interrupt(placing)))
  return {
    // They differ in the names of their states alone, which only the machine knows.
    machine: release === 1 ? (orderForm1 as unknown as Machine) : orderForm,
    version: release === 1 ? 1 : version,
    migrations: { 1: from1To2 },
    input: settings,
    refresh: (stored: OrderFormContext) => ({ ...stored, ...settings }),
    mailboxMax: 16,
    isEphemeral: () => false,
    isAtRest: ({ value }) => value !== "placing",
    eventOf,
    rows,
    apology,
    perform: (action, self) => {
      if (action.type === "order.fail") return close
      if (action.type !== "order.place") return Effect.void // it is rows of the entry
      return Effect.map(Effect.forkDetach(place(id, action, self, services)), (fiber) => {
        placing = fiber
      })
    },
    close
  }
}

function eventOf({ position, text }: PendingInbound): OrderFormEvent {
  const said = text.trim().toLowerCase()
  if (said === "cancel") return { type: "person.cancelled", position }
  return { type: "person.wrote", position, isNumber: /^[1-9]\d{0,2}$/.test(said) }
}

function rows(action: OrderFormAction, { inbound, nextKey }: Facts): Partial<Rows> {
  const said = inbound?.text ?? ""
  switch (action.type) {
    case "question.ask": {
      const { nth, question } = action
      // Version 1 did not count.
      return reply(action, said, nth === undefined ? questions[question] : `${nth}. ${questions[question]}`, nextKey())
    }
    case "question.repeat":
      return reply(action, said, repeated, nextKey())
    case "form.cancel":
      return reply(action, said, cancelled, nextKey(), "stopped")
    case "question.remind": {
      const { question, turn } = action
      const text = `Are you still there? ${questions[question]}`
      return {
        messages: [{ role: "assistant", text, turn }],
        outbound: [{ key: nextKey(), turn, text, outcome: "answered" }]
      }
    }
    case "answer.keep": {
      const { position, turn } = action
      return { messages: [{ role: "user", text: said, turn, position }] }
    }
    case "order.place":
      return {}
    case "order.confirm":
      return closing(action, `Order ${action.number} is placed.`, nextKey(), "answered")
    case "order.fail": {
      const letter = { kind: "turn" as const, reference: String(action.turn), reason: failed }
      return { ...closing(action, failed, nextKey(), "dead"), deadLetters: [letter] }
    }
  }
}

interface InTurn {
  readonly turn: number
  readonly position: number
}

function reply(about: InTurn, said: string, text: string, key: string, outcome: "answered" | "stopped" = "answered") {
  const { position, turn } = about
  const closed = closing(about, text, key, outcome)
  return { ...closed, messages: [{ role: "user" as const, text: said, turn, position }, ...closed.messages] }
}

/** Answers the event at `position`, whose own message is kept already. */
function closing({ position, turn }: InTurn, text: string, key: string, outcome: "answered" | "stopped" | "dead") {
  const fate = outcome === "dead" ? outcome : "answered"
  return {
    messages: [{ role: "assistant" as const, text, turn }],
    outbound: [{ key, turn, text, outcome }],
    settle: [{ after: position - 1, upTo: position, fate, turn, key } as const]
  }
}

function apology({ inbound, nextKey }: Facts): Partial<Rows> {
  if (inbound === undefined) return {}
  const { position } = inbound
  const key = nextKey()
  return {
    outbound: [{ key, turn: 0, text: unreadable, outcome: "dead" }],
    settle: [{ after: position - 1, upTo: position, fate: "dead", key }]
  }
}

type Place = Extract<OrderFormAction, { type: "order.place" }>

/** Ends without a report when the actor has ended: its successor places the order again. */
const place = Effect.fnUntraced(
  function* (
    id: string,
    { answers, attempt, order }: Place,
    self: Actor<Machine>,
    { journal, shop }: OrderFormServices
  ) {
    const textOf = Effect.fnUntraced(function* (question: keyof Answers) {
      const turn = answers[question]
      if (turn === undefined) return ""
      const stored = yield* Effect.retry(journal.messages(id, turn, turnMessagesMax), Schedule.spaced("100 millis"))
      return stored.find((message) => message.role === "user" && message.turn === turn)?.text ?? ""
    })
    const number = yield* shop.place({
      key: `${id}/${order}`,
      customer: id,
      what: yield* textOf("what"),
      howMany: yield* textOf("how-many"),
      address: (yield* textOf("address")) || (yield* textOf("where-to"))
    })
    yield* self.report({ type: "order.placed", order, attempt, number })
  },
  (placing) => Effect.ignore(placing)
)
