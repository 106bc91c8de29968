/** The operator's commands against a server, against one with much in it, and against none. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect, test } from "vitest"
import { startMain } from "./main-process.ts"
import { openDesk, token, typeCommand, until } from "./operator-bench.ts"

const many = 10_000
const letters = 1_000

it.live("pages of 10,000 conversations and 1,000 dead letters hold each of them once", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("take")
    yield* desk.sql(`insert into conversation (id, account, machine, version, value, context, seq, message_seq, handled,
        timers, open, defects, at_ms)
      select 'webhook/demo/' || n, 'webhook/demo', 'conversation', 2, '"done"', '{"turn": 1}', 1, 1, 0, '[]', false, 0, n
      from generate_series(1, ${many}) n`)
    yield* desk.sql(`insert into dead_letter (kind, conversation, reference, reason, at_ms)
      select 'turn', 'webhook/demo/' || n, '1', 'broken', n from generate_series(1, ${letters}) n`)

    const ids = new Set<string>()
    for (let after = ""; ; ) {
      const query = after === "" ? [] : ["--after", after]
      const page = yield* desk.json("conversations", "list", "--limit", "500", ...query)
      const { conversations, next } = page as unknown as ConversationPage
      expect(conversations.length).toBeLessThanOrEqual(500)
      for (const { id } of conversations) ids.add(id)
      if (next === null) break
      after = next
    }
    expect(ids.size).toBe(many)

    const { output } = yield* desk.type("conversations", "list", "--dead")
    expect(output.split("\n")).toHaveLength(1 + 50 + 3)
    const seen: Array<number> = []
    for (let next: number | null = letters + 1; next !== null; ) {
      const page = yield* desk.json("deadletters", "list", "--limit", "300", "--before", String(next))
      const { deadLetters, next: following } = page as unknown as LetterPage
      seen.push(...deadLetters.map(({ id }) => id))
      next = following
    }
    expect(seen).toEqual(Array.from({ length: letters }, (_, index) => letters - index))
    const one = ["--all", "--yes", "--conversation", "webhook/demo/7"]
    expect(yield* desk.json("deadletters", "discard", ...one)).toEqual([{ id: 7, state: "discarded" }])
    expect((yield* desk.json("status"))["outbox"]).toEqual({ due: 0, deadLetters: letters - 1 })
    expect(yield* desk.sql("select conversation, subject from audit")).toEqual([
      { conversation: "webhook/demo/7", subject: "7" }
    ])
  })
)

interface LetterPage {
  readonly deadLetters: ReadonlyArray<{ readonly id: number }>
  readonly next: number | null
}

interface ConversationPage {
  readonly conversations: ReadonlyArray<{ readonly id: string }>
  readonly next: string | null
}

it.live("filters show those that are meant, and inspect says what one waits for", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("unavailable")
    yield* desk.write("undelivered", "event-1", "hello")
    yield* desk.write("answering", "event-2", "!hang 1")
    const listed = (...filters: ReadonlyArray<string>) =>
      Effect.map(desk.json("conversations", "list", ...filters), (page) =>
        (page as unknown as ConversationPage).conversations.map(({ id }) => id.split("/")[2])
      )
    yield* until(listed(), (ids) => ids.length === 2)
    yield* until(desk.sql("select 1 from attempt where result is not null"), (rows) => rows.length > 0)
    expect(yield* listed("--open")).toEqual(["answering"])
    expect(yield* listed("--due")).toEqual(["undelivered"])
    expect(yield* listed("--dead")).toEqual([])
    expect(yield* listed("--account", "web/chat")).toEqual([])
    expect(yield* listed("--account", "webhook/demo")).toEqual(["answering", "undelivered"])

    // Between two sends: what is being sent has no result yet.
    yield* until(desk.type("inspect", "webhook/demo/undelivered", "--texts"), ({ output }) =>
      /Last error +send \d+ of turn 1: the callback answered 503[\s\S]*echo: hello/.test(output)
    )
    expect((yield* desk.type("inspect", "webhook/demo/undelivered")).output).not.toContain("hello")
    const status = yield* desk.type("status")
    expect(status).toMatchObject({
      code: 0,
      output: expect.stringMatching(/ready, for .*[\s\S]*1 of 16 slots[\s\S]*webhook\/demo +2 /)
    })
  })
)

const commands = [
  ["status"],
  ["conversations", "list"],
  ["inspect", "web/chat/x"],
  ["deadletters", "list"],
  ["deadletters", "show", "1"],
  ["deadletters", "replay", "1"],
  ["deadletters", "discard", "1"],
  ["forget", "web/chat/x", "--yes"]
]

test("without a server each command says so, in one line, and its exit code is 69", async () => {
  for (const typed of commands) {
    const { code, output } = await Effect.runPromise(typeCommand(typed, { PORT: "1" }))
    const words =
      "No Parley runs at http://127.0.0.1:1: nothing listens there. Start it (parley start), or say where it is"
    expect([typed, code, output]).toEqual([typed, 69, `${words}: --port, --host, --config.\n`])
  }
  const run = startMain({ typed: ["status"], env: { PORT: "1" } })
  expect([await run.ended, run.output()]).toEqual([69, expect.stringMatching(/^No Parley runs at [^\n]+\n$/)])
})

test("another program, and a server with another token, are told apart", async () => {
  const server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  const PORT = String((server.address() as AddressInfo).port)
  const other = await Effect.runPromise(typeCommand(["status"], { PORT }))
  expect(other).toMatchObject({ code: 69, output: expect.stringContaining("is no Parley of this version (200)") })
  server.removeAllListeners("request").on("request", (_, response) => response.writeHead(401).end("{}"))
  const denied = await Effect.runPromise(typeCommand(["status"], { PORT, PARLEY_TOKEN: token }))
  expect(denied).toMatchObject({
    code: 77,
    output: expect.stringMatching(/^\S+ does not know this token\. Set PARLEY_TOKEN/)
  })
  expect(denied.output).not.toContain(token)
  server.close().closeAllConnections()
})

it.live("what cannot be meant is said before anything is done", () =>
  Effect.gen(function* () {
    const desk = yield* openDesk("take")
    const cases = [
      [["conversations", "list", "--limit", "501"], 1, "`limit`: expected a whole number from 1 to 500"],
      [["inspect", "nobody"], 1, "There is no such conversation."],
      [["deadletters", "show", "7"], 1, "There is no dead letter 7"],
      [["deadletters", "list", "--state", "opne"], 2, "opne"],
      [["forget", "web/chat/x"], 2, "--yes says so beforehand"]
    ] as const
    for (const [typed, code, words] of cases) {
      expect([typed, yield* desk.type(...typed)]).toEqual([typed, { code, output: expect.stringContaining(words) }])
    }
  })
)
