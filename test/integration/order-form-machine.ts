/**
 * A flow of a developer's own: a person orders something in three answers. Nothing in src/ knows it.
 *
 *   idle ──wrote──▶ asking { what ──▶ how-many ──▶ address } ──▶ placing ──placed──▶ idle
 *                     │                 │  ▲                        │  │  ▲
 *                     │                 └──┘ no number              │  └──┘ resumed
 *                     └─────cancelled──▶ idle                       └──overdue | gave-up──▶ idle
 *
 *   F1. The questions are asked in their order. What is no number is asked for again.
 *   F2. Who has not answered a question within `silenceMs` is reminded of it, once.
 *   F3. A cancel ends the form at any question.
 *   F4. An order is placed after the last answer, and again by each resumption, as a higher attempt.
 *   F5. Each form ends once, in words; where no form is open a cancel changes nothing.
 *
 * Answers are rows of `message`: the context keeps the turns in which they were given.
 */
import { assertEvent, assign, emit, setup } from "xstate"

export const version = 2

export type OrderFormEvent =
  | { type: "person.wrote"; position: number; isNumber: boolean }
  | { type: "person.cancelled"; position: number }
  | { type: "order.placed"; order: number; attempt: number; number: number }
  | { type: "actor.resumed" }
  | { type: "actor.gave-up" }

export type Question = "what" | "how-many" | "where-to" | "address"

/** `position` is that of the event which the action's message answers. */
export type OrderFormAction =
  | { type: "question.ask"; question: Question; nth: number; turn: number; position: number }
  | { type: "question.repeat"; question: Question; turn: number; position: number }
  | { type: "question.remind"; question: Question; turn: number }
  | { type: "answer.keep"; turn: number; position: number }
  | { type: "form.cancel"; turn: number; position: number }
  | { type: "order.place"; order: number; attempt: number; answers: Answers }
  | { type: "order.confirm"; number: number; turn: number; position: number }
  | { type: "order.fail"; turn: number; position: number }

/** The turn of each answer. */
export type Answers = Readonly<Partial<Record<Question, number>>>

/** Today's, given anew on each start. */
export interface OrderFormSettings {
  readonly silenceMs: number
  /** The shop answers within a second; after that long the person is told that it does not. */
  readonly shopMaxMs: number
}

export interface OrderFormContext extends OrderFormSettings {
  readonly order: number
  readonly attempt: number
  /** How many messages the person has written. */
  readonly turn: number
  /** The position of the last one. */
  readonly position: number
  readonly answers: Answers
  /** How many questions the order has asked so far. */
  readonly questions: number
}

type OfQuestion = { readonly question: Question }

export const form = setup({
  types: {
    input: {} as OrderFormSettings,
    context: {} as OrderFormContext,
    events: {} as OrderFormEvent,
    emitted: {} as OrderFormAction
  },
  delays: {
    silence: ({ context }) => context.silenceMs,
    shopDeadline: ({ context }) => context.shopMaxMs
  },
  guards: {
    isNumber: ({ event }) => event.type === "person.wrote" && event.isNumber,
    isCurrent: ({ context, event }) =>
      event.type === "order.placed" && event.order === context.order && event.attempt === context.attempt
  },
  actions: {
    beginForm: assign(({ context }) => ({ order: context.order + 1, attempt: 0, answers: {} })),
    take: assign(({ context, event }) => {
      assertEvent(event, ["person.wrote", "person.cancelled"])
      return { turn: context.turn + 1, position: event.position }
    }),
    note: assign(({ context }, { question }: OfQuestion) => ({
      answers: { ...context.answers, [question]: context.turn }
    })),
    countNone: assign({ questions: 0 }),
    countQuestion: assign(({ context }) => ({ questions: context.questions + 1 })),
    ask: emit(({ context: { position, questions, turn } }, { question }: OfQuestion) => ({
      type: "question.ask",
      question,
      nth: questions,
      turn,
      position
    })),
    askAgain: emit(({ context: { position, turn } }, { question }: OfQuestion) => ({
      type: "question.repeat",
      question,
      turn,
      position
    })),
    remind: emit(({ context: { turn } }, { question }: OfQuestion) => ({ type: "question.remind", question, turn })),
    keepAnswer: emit(({ context: { position, turn } }) => ({ type: "answer.keep", turn, position })),
    cancel: emit(({ context: { position, turn } }) => ({ type: "form.cancel", turn, position })),
    beginAttempt: assign(({ context }) => ({ attempt: context.attempt + 1 })),
    place: emit(({ context: { answers, attempt, order } }) => ({ type: "order.place", order, attempt, answers })),
    confirm: emit(({ context: { position, turn }, event }) => {
      assertEvent(event, "order.placed")
      return { type: "order.confirm", number: event.number, turn, position }
    }),
    fail: emit(({ context: { position, turn } }) => ({ type: "order.fail", turn, position }))
  }
})

/** An action with the question it is about. */
export const about = <A extends "ask" | "askAgain" | "note" | "remind">(type: A, question: Question) =>
  ({ type, params: { question } }) as const

const begun = { order: 0, attempt: 0, turn: 0, position: 0, answers: {}, questions: 0 }

export const placing = form.createStateConfig({
  entry: ["beginAttempt", "place"],
  on: {
    "order.placed": { guard: "isCurrent", target: "idle", actions: "confirm" },
    "actor.resumed": { target: "placing", reenter: true },
    "actor.gave-up": { target: "idle", actions: "fail" }
  },
  after: { shopDeadline: { target: "idle", actions: "fail" } }
})

export const orderForm = form.createMachine({
  id: "order-form",
  context: ({ input }) => ({ ...input, ...begun }),
  initial: "idle",
  states: {
    idle: { on: { "person.wrote": { target: "asking", actions: ["beginForm", "countNone", "take"] } } },
    asking: {
      initial: "what",
      on: { "person.cancelled": { target: "idle", actions: ["take", "cancel"] } },
      states: {
        what: {
          entry: ["countQuestion", about("ask", "what")],
          on: {
            "person.wrote": { target: "how-many", actions: ["take", about("note", "what")] }
          },
          after: { silence: { actions: about("remind", "what") } }
        },
        "how-many": {
          entry: ["countQuestion", about("ask", "how-many")],
          on: {
            "person.wrote": [
              {
                guard: "isNumber",
                target: "address",
                actions: ["take", about("note", "how-many")]
              },
              // No target: what is no answer does not put the reminder off.
              { actions: ["take", about("askAgain", "how-many")] }
            ]
          },
          after: { silence: { actions: about("remind", "how-many") } }
        },
        address: {
          entry: ["countQuestion", about("ask", "address")],
          on: {
            "person.wrote": {
              target: "#order-form.placing",
              actions: ["take", about("note", "address"), "keepAnswer"]
            }
          },
          after: { silence: { actions: about("remind", "address") } }
        }
      }
    },
    placing
  }
})
