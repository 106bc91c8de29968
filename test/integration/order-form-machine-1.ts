/**
 * The order form as version 1 was: its last question was called `where-to`, and it did not count its questions. What
 * it left behind is a storage format.
 */
import type { Migrated } from "../../src/actors/actor.ts"
import { about, form, type OrderFormContext, type OrderFormSettings, placing } from "./order-form-machine.ts"

type Context1 = Omit<OrderFormContext, "questions">

export const orderForm1 = form.createMachine({
  id: "order-form",
  context: ({ input }) => begun(input) as OrderFormContext,
  initial: "idle",
  states: {
    idle: { on: { "person.wrote": { target: "asking", actions: ["beginForm", "take"] } } },
    asking: {
      initial: "what",
      on: { "person.cancelled": { target: "idle", actions: ["take", "cancel"] } },
      states: {
        what: {
          entry: about("ask", "what"),
          on: { "person.wrote": { target: "how-many", actions: ["take", about("note", "what")] } },
          after: { silence: { actions: about("remind", "what") } }
        },
        "how-many": {
          entry: about("ask", "how-many"),
          on: {
            "person.wrote": [
              { guard: "isNumber", target: "where-to", actions: ["take", about("note", "how-many")] },
              { actions: ["take", about("askAgain", "how-many")] }
            ]
          },
          after: { silence: { actions: about("remind", "how-many") } }
        },
        "where-to": {
          entry: about("ask", "where-to"),
          on: {
            "person.wrote": {
              target: "#order-form.placing",
              actions: ["take", about("note", "where-to"), "keepAnswer"]
            }
          },
          after: { silence: { actions: about("remind", "where-to") } }
        }
      }
    },
    placing
  }
})

function begun(input: OrderFormSettings): Context1 {
  return { ...input, order: 0, attempt: 0, turn: 0, position: 0, answers: {} }
}

export function from1To2({ context, timers, value }: Migrated): Migrated {
  const { answers, ...rest } = context as Context1
  const { "where-to": address, ...others } = answers
  const asked = ["what", "how-many", "where-to"].findIndex((question) => isIn(value, question))
  return {
    value: isIn(value, "where-to") ? { asking: "address" } : value,
    context: {
      ...rest,
      answers: address === undefined ? others : { ...others, address },
      questions: asked < 0 ? Object.keys(answers).length : asked + 1
    },
    timers: timers.map(({ event, id, ...timer }) => ({ ...timer, id: renamed(id), event: renamed(event) }))
  }
}

function isIn(value: unknown, question: string): boolean {
  return typeof value === "object" && value !== null && "asking" in value && value.asking === question
}

function renamed(name: string): string {
  return name.replace(/\.where-to$/, ".address")
}
