/** A dead letter's life: made by a platform that answers 410, listed, shown, replayed, delivered; discarded. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { openDesk, until } from "./operator-bench.ts"

const open = "select id, kind, reference from dead_letter where state = 'open' order by id"

it.live("a reply that was refused is listed, shown, replayed with its key, and delivered; all of it audited", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("gone")
    yield* desk.write("room", "event-1", "hello")
    const [letter] = yield* until(desk.sql(open), (rows) => rows.length === 1)
    const { id, reference: key } = letter as { readonly id: string; readonly reference: string }

    const { deadLetters } = yield* desk.json("deadletters", "list")
    expect(deadLetters).toMatchObject([{ id: Number(id), kind: "outbound", conversation: "webhook/demo/room" }])
    const shown = yield* desk.type("deadletters", "show", id, "--texts")
    expect(shown.output).toMatch(/Reason +410: .*[\s\S]*Answers +event-1[\s\S]*Text +echo: hello[\s\S]*rejected/)
    expect((yield* desk.type("deadletters", "show", id)).output).not.toContain("echo: hello")

    desk.fate = "take"
    expect(yield* desk.type("deadletters", "replay", id)).toEqual({
      code: 0,
      output: `Dead letter ${id} is sent again.\n`
    })
    yield* desk.callback.arrived(2)
    const deliveries = desk.callback.deliveries()
    expect(deliveries.map(({ fate, key, shown }) => [key, fate, shown])).toEqual([
      [key, "gone", false],
      [key, "take", true]
    ])
    expect(new Set(deliveries.map(({ body }) => body)).size).toBe(1)
    const states = "select o.state, o.attempts_before, d.state as letter from outbound o, dead_letter d"
    const done = yield* until(desk.sql(states), ([row]) => row?.["state"] === "delivered")
    expect(done).toEqual([{ state: "delivered", attempts_before: 1, letter: "replayed" }])

    expect(yield* desk.type("deadletters", "replay", id)).toMatchObject({
      code: 1,
      output: `Dead letter ${id} is replayed already.\n`
    })
    const audited = yield* desk.sql("select operator, address, action, conversation, subject from audit")
    const by = { operator: expect.stringContaining("@"), address: expect.stringMatching(/127\.0\.0\.1$/) }
    expect(audited).toEqual([{ ...by, action: "replay", conversation: "webhook/demo/room", subject: id }])
    expect((yield* desk.type("deadletters", "list")).output).toBe("There are none.\n")
  })
)

it.live(
  "one that is replayed and refused again is a dead letter again, and one that is discarded is sent no more",
  () =>
    Effect.gen(function* () {
      const desk = yield* openDesk("gone")
      yield* desk.write("room", "event-1", "hello")
      const first = yield* until(desk.sql(open), (rows) => rows.length === 1)
      expect((yield* desk.type("deadletters", "replay", "--all", "--yes")).output).toMatch(
        /^Dead letter \d+ is sent again/
      )
      const second = yield* until(desk.sql(open), (rows) => rows.length === 1 && rows[0]!["id"] !== first[0]!["id"])
      expect(second[0]!["reference"]).toBe(first[0]!["reference"])

      const id = String(second[0]!["id"])
      expect((yield* desk.type("deadletters", "discard", id)).code).toBe(0)
      desk.fate = "take"
      expect((yield* desk.type("deadletters", "replay", id)).output).toBe(`Dead letter ${id} is discarded already.\n`)
      yield* desk.write("room", "event-2", "again")
      yield* desk.callback.arrived(3)
      expect(desk.callback.deliveries().at(-1)?.body).toContain("event-2")
      const actions = yield* desk.sql("select action from audit order by id")
      expect(actions.map(({ action }) => action)).toEqual(["replay", "discard"])
      expect(yield* desk.json("deadletters", "list", "--state", "all")).toMatchObject({
        deadLetters: [{ state: "discarded" }, { state: "replayed" }]
      })
    })
)

it.live("turns and events that were given up are not asked again; what does not exist is said", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("take")
    yield* desk.sql(`insert into dead_letter (kind, conversation, reference, reason, at_ms) values
      ('turn', 'webhook/demo/a', '1', 'broken', 1), ('inbound', 'webhook/demo/a', '7', 'no', 2),
      ('outbound', 'webhook/elsewhere/a', 'msg_x', '410', 3)`)
    const ids = (yield* desk.sql(open)).map(({ id }) => String(id))
    const { code, output } = yield* desk.type("deadletters", "replay", ...ids, "99")
    expect([code, output]).toEqual([1, expect.stringContaining("0 of 4 done")])
    for (const words of [
      "a turn that was given up",
      "an event that could not be handled",
      "is not configured",
      "no dead letter 99"
    ])
      expect(output).toContain(words)
    expect(yield* desk.sql("select 1 from audit")).toEqual([])
    expect(yield* desk.sql(open)).toHaveLength(3)
    expect((yield* desk.type("deadletters", "replay", "--all")).code).toBe(2)
    expect((yield* desk.type("deadletters", "discard")).code).toBe(2)
  })
)
