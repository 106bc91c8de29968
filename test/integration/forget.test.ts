/** What is left of a conversation that was forgotten, and how it begins again. */
import { createHash } from "node:crypto"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import { expect } from "vitest"
import { builtIn } from "../../src/inference/models.ts"
import { openDesk, token, until } from "./operator-bench.ts"

const id = "webhook/demo/room"
const hash = createHash("sha256").update(id).digest("hex")
const pending = "select 1 from inbound where fate is null"
const delivered = "select key from outbound where state = 'delivered' order by at_ms, key"

it.live("every row of it goes, a repeated event is not answered anew, and it begins again with keys of its own", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("take")
    yield* desk.write("room", "event-1", "my name is ann")
    yield* desk.write("other", "event-2", "my name is bob")
    const before = yield* until(desk.sql(delivered), (rows) => rows.length === 2)

    const { code, output } = yield* desk.type("forget", id, "--yes")
    expect([code, output]).toEqual([
      0,
      "Forgotten: 2 messages, 1 replies, 0 dead letters; 1 events name nobody any more.\n"
    ])
    const everything = yield* desk.sql(
      ["inbound", "conversation", "event", "message", "outbound", "attempt", "dead_letter", "audit", "forgotten"]
        .map((table) => `select '${table}' as name, row_to_json(t)::text as row from ${table} t`)
        .join(" union all ")
    )
    const naming = everything.filter(({ row }) => /room|ann/.test(String(row)) && !String(row).includes("event-2"))
    expect(naming).toEqual([])
    expect(everything.filter(({ row }) => String(row).includes(hash)).map(({ name }) => name)).toEqual([
      "audit",
      "forgotten"
    ])
    expect((yield* desk.sql("select text from message")).length).toBe(2)
    expect(yield* desk.type("inspect", id)).toEqual({ code: 1, output: "There is no such conversation.\n" })
    expect((yield* desk.type("forget", id, "--yes")).output).toBe("There is no such conversation.\n")

    expect(yield* desk.write("room", "event-1", "my name is ann")).toBe(true)
    yield* desk.write("room", "event-3", "hello again")
    const after = yield* until(desk.sql(delivered), (rows) => rows.length === 2)
    expect(desk.callback.deliveries().filter(({ body }) => body.includes("event-1"))).toHaveLength(1)
    const keys = [...before, ...after].map(({ key }) => key)
    expect(new Set(keys).size).toBe(3)
    const said = yield* desk.sql(`select seq, text from message where conversation = '${id}' order by seq`)
    expect(said).toMatchObject([
      { seq: "3", text: "hello again" },
      { seq: "4", text: "echo: hello again" }
    ])
    const terms = "select term, count from tally where account = 'webhook/demo' order by term"
    expect(yield* desk.sql(terms)).toEqual([
      { term: "accepted", count: "3" },
      { term: "answered", count: "3" }
    ])
  })
)

it.live("one that is being answered, and whose reply is being sent, is stopped first", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("late")
    yield* desk.write("room", "event-1", "hello")
    yield* desk.callback.arrived(1)
    yield* desk.write("room", "event-2", "!hang 1")
    yield* until(
      Effect.sync(() => desk.model.stats().streaming),
      (streaming) => streaming === 1
    )
    const found = yield* desk.json("inspect", id)
    expect(found).toMatchObject({
      isLive: true,
      pending: { count: 1 },
      waitsFor: expect.stringMatching(/^the model, which answers it; it is given up in /),
      outbox: [{ turn: 1, attempts: 1, result: null }]
    })
    expect((yield* desk.type("forget", id, "--yes")).code).toBe(0)
    yield* until(
      Effect.sync(() => desk.model.stats().inFlight),
      (inFlight) => inFlight === 0
    )
    desk.fate = "take"
    yield* desk.write("room", "event-3", "hello again")
    yield* until(desk.sql(delivered), (rows) => rows.length === 1)
    expect(yield* desk.sql(pending)).toEqual([])
    const fates = yield* desk.sql("select event_key, conversation, fate, rule from inbound order by position")
    expect(fates).toEqual([
      { event_key: "event-1", conversation: "webhook/demo/", fate: "answered", rule: null },
      { event_key: "event-2", conversation: "webhook/demo/", fate: "ignored", rule: "forgotten" },
      { event_key: "event-3", conversation: id, fate: "answered", rule: null }
    ])
    const terms = yield* desk.sql("select term, count from tally order by term")
    expect(terms.map(({ count, term }) => `${term} ${count}`)).toEqual(["accepted 3", "answered 2", "ignored 1"])
  })
)

it.live("what the model's worker keeps of it in memory goes too", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("take", builtIn.file)
    yield* desk.write("room", "event-1", "my name is ann")
    yield* until(desk.sql(delivered), (rows) => rows.length === 1)
    const client = new OpenAI({ baseURL: `${desk.address}/v1`, apiKey: token })
    const messages = [{ role: "user" as const, content: "How do I connect a webhook, and what is a dead letter?" }]
    const cachedTokens = Effect.promise(async () => {
      const { usage } = await client.chat.completions.create({ model: "default", messages, max_tokens: 4 })
      return usage?.prompt_tokens_details?.cached_tokens ?? 0
    })
    yield* cachedTokens
    expect(yield* cachedTokens).toBeGreaterThan(0)
    expect((yield* desk.type("forget", id, "--yes")).code).toBe(0)
    expect(yield* cachedTokens).toBe(0)
  })
)
