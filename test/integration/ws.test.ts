/** `/ws` of a whole server: what a page is told, what it is refused, and what it sees when the server dies. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import type { ServerFrame } from "../../src/adapters/web/frames.ts"
import { frameMaxBytes, textMaxBytes } from "../../src/adapters/web/wire.ts"
import { startMain } from "./main-process.ts"
import { startModelServer } from "./model-server.ts"
import { PageClient } from "./page-client.ts"
import { withDatabase } from "./postgres.ts"

const deltaMs = 150

/** What a server needs; each start of it finds the same. */
const world = Effect.gen(function* () {
  const url = yield* withDatabase
  const model = yield* Effect.acquireRelease(
    Effect.promise(() => startModelServer({ delayMs: deltaMs })),
    (opened) => Effect.promise(() => opened.close())
  )
  const start = async () => {
    const main = startMain({ env: { DATABASE_URL: url, PARLEY_MODEL: model.url } })
    const address = await main.ready()
    return { main, url: `${address.replace("http", "ws")}/ws` }
  }
  return { model, start }
})

const deltasOf = (page: PageClient) => page.frames.filter((frame) => frame.type === "delta")
const isDone = (page: PageClient) => page.frames.findLast(({ type }) => type === "state")
const isAnswered = (page: PageClient, count: number) => () =>
  page.messages.size >= count && (isDone(page) as { value?: string } | undefined)?.value === "done"

/** What the page has shown of each attempt; fails where a delta does not join on to the ones before it. */
function attemptsOf(frames: ReadonlyArray<ServerFrame>): ReadonlyMap<string, string> {
  const attempts = new Map<string, string>()
  for (const frame of frames) {
    if (frame.type !== "delta") continue
    const key = `${frame.turn}/${frame.attempt}`
    const before = frame.at === 0 ? "" : (attempts.get(key) ?? "")
    expect(frame.at).toBe(before.length)
    attempts.set(key, before + frame.text)
  }
  return attempts
}

it.live("a message is accepted, answered word by word, and there after a reload and on a second page", () =>
  Effect.gen(function* () {
    const { start } = yield* world
    yield* Effect.promise(async () => {
      const { url } = await start()
      const page = new PageClient(url)
      await page.connect()
      expect(page.conversation).toMatch(/^[0-9a-f]{32}$/)
      const second = new PageClient(url, page.conversation)
      await second.connect()
      const told = await page.write("one two three")
      expect(told).toMatchObject({ type: "accepted" })
      const halfWay = () => deltasOf(page).length > 0
      await page.until(halfWay)
      const late = new PageClient(url, page.conversation)
      await late.connect()
      for (const one of [page, second, late]) await one.until(isAnswered(one, 2))
      for (const one of [page, second, late]) {
        expect(one.texts).toEqual(["user: one two three", "assistant: echo: one two three"])
        expect([...attemptsOf(one.frames).values()]).toEqual(["echo: one two three"])
        expect(one.repeated).toBe(0)
      }
      const states = page.frames.flatMap((frame) => (frame.type === "state" ? [frame.value] : []))
      expect(new Set(states)).toEqual(new Set(["done", "awaiting-model", "streaming"]))
      const id = told?.type === "accepted" ? told.id : ""
      expect(page.messages.get(1)).toMatchObject({ id, role: "user", turn: 1 })
      // The same message again is the same message.
      expect(await page.write("one two three", id)).toMatchObject({ type: "accepted", id })
      const reloaded = new PageClient(url, page.conversation)
      await reloaded.connect()
      await reloaded.until(isAnswered(reloaded, 2))
      expect(reloaded.texts).toEqual(page.texts)
      const stranger = new PageClient(url)
      await stranger.connect()
      expect(stranger.conversation).not.toBe(page.conversation)
      expect(stranger.messages.size).toBe(0)
    })
  })
)

it.live("a server that is killed in mid-answer gives the whole answer once, and nothing is spliced", () =>
  Effect.gen(function* () {
    const { start } = yield* world
    yield* Effect.promise(async () => {
      const first = await start()
      const page = new PageClient(first.url)
      await page.connect()
      await page.write("alpha beta gamma delta")
      await page.until(() => deltasOf(page).length >= 2)
      first.main.child.kill("SIGKILL")
      await page.until(() => page.closed !== undefined)
      const second = await start()
      const back = new PageClient(second.url, page.conversation)
      for (const message of page.messages.values()) back.messages.set(message.seq, message)
      await back.connect()
      await back.until(isAnswered(back, 2))
      expect(back.texts).toEqual(["user: alpha beta gamma delta", "assistant: echo: alpha beta gamma delta"])
      expect(back.repeated).toBe(0)
      const attempts = [...attemptsOf(back.frames)]
      for (const [key, text] of attempts) {
        expect(Number(key.split("/")[1])).toBeGreaterThan(1)
        expect("echo: alpha beta gamma delta").toContain(text)
      }
      second.main.child.kill("SIGTERM")
      await back.until(() => back.closed !== undefined)
      expect(back.closed?.code).toBe(1012)
      expect(await second.main.ended).toBe(0)
    })
  })
)

it.live("a stop ends the answer: what was said so far is the answer, and the next one goes on", () =>
  Effect.gen(function* () {
    const { start } = yield* world
    yield* Effect.promise(async () => {
      const { url } = await start()
      const page = new PageClient(url)
      await page.connect()
      await page.write("a b c d e f g h")
      await page.until(() => deltasOf(page).length >= 2)
      page.send({ type: "stop" })
      await page.until(isAnswered(page, 2))
      const [, answer = ""] = page.texts
      expect("assistant: echo: a b c d e f g h".startsWith(answer)).toBe(true)
      expect(answer.length).toBeLessThan("assistant: echo: a b c d e f g h".length)
      await page.write("again")
      await page.until(isAnswered(page, 4))
      expect(page.texts.slice(2)).toEqual(["user: again", "assistant: echo: again"])
      page.send({ type: "typing" })
    })
  })
)

const said = (frame: unknown) => JSON.stringify(frame)
const hello = said({ type: "hello" })
const bads: ReadonlyArray<readonly [what: string, frames: ReadonlyArray<string | Buffer>, code: number]> = [
  ["no JSON", ["hello"], 1008],
  ["another type", [said({ type: "login" })], 1008],
  ["bytes", [Buffer.from(hello)], 1008],
  ["no hello", [said({ type: "stop" })], 1008],
  ["a second hello", [hello, hello], 1008],
  ["a made-up conversation", [said({ type: "hello", conversation: "../../etc" })], 1008],
  ["half a number", [said({ type: "hello", since: 1.5 })], 1008],
  ["an id that is none", [hello, said({ type: "message", id: "1", text: "x" })], 1008],
  ["a frame that is too long", [hello, said({ type: "message", id: "1", text: "x".repeat(frameMaxBytes) })], 1009],
  ["a hundred frames at once", [hello, ...Array.from({ length: 150 }, () => said({ type: "typing" }))], 1008]
]

it.live("whoever does not speak the protocol is sent away, and harms nobody", () =>
  Effect.gen(function* () {
    const { start } = yield* world
    yield* Effect.promise(async () => {
      const { main, url } = await start()
      const other = new PageClient(url)
      await other.connect()
      for (const [what, frames, code] of bads) {
        const page = new PageClient(url)
        await page.open()
        for (const frame of frames) page.socket.send(frame)
        await page.until(() => page.closed !== undefined)
        expect([what, page.closed?.code]).toEqual([what, code])
      }
      await expect(new PageClient(`${url}/other`).open()).rejects.toThrow("not let in")
      expect(await other.write(" \n ")).toMatchObject({ type: "rejected", reason: "empty" })
      expect(await other.write("x".repeat(textMaxBytes + 1))).toMatchObject({ type: "rejected", reason: "too-long" })
      expect(await other.write("nul \0 and lone \ud800")).toMatchObject({ type: "accepted" })
      await other.until(isAnswered(other, 2))
      expect(other.texts).toEqual(["user: nul \uFFFD and lone \uFFFD", "assistant: echo: nul \uFFFD and lone \uFFFD"])
      expect(main.output()).not.toContain('"level":"error"')
    })
  })
)
