/** OpenAI's API byte by byte: what no client of OpenAI's would send, and what they do not show. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { readSse, sseReader } from "../../src/inference/sse.ts"
import { requestLine, requestOf, saying, send, textOf, untilLoad, v1 } from "./v1-bench.ts"

const bodyMaxBytes = 4_096
const bodyOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as unknown
const inForm = (code: string) => ({
  error: { message: expect.any(String), type: "invalid_request_error", param: null, code }
})

it.live("a body that is no request is refused in OpenAI's form, whatever it is", () =>
  Effect.gen(function* () {
    const { address } = yield* v1({ limits: `{ bodyMaxBytes: ${bodyMaxBytes} }` })
    const answerTo = (bytes: string | Uint8Array) => send(address, bytes).closed
    yield* Effect.promise(async () => {
      for (const body of ["", "{", '"x', Uint8Array.of(0x7b, 0xff, 0xfe), "\uFEFF{}x", "[".repeat(2_000)]) {
        const answer = await answerTo(requestOf(body))
        expect(answer).toMatch(/^HTTP\/1.1 400 /)
        expect(bodyOf(answer)).toEqual(inForm("invalid_body"))
      }
      for (const body of ["[]", "null", "7"])
        expect(bodyOf(await answerTo(requestOf(body)))).toEqual(inForm("invalid_value"))
      const announced = await answerTo(`${requestLine}content-length: 100000\r\n\r\n`)
      expect(announced).toMatch(/^HTTP\/1.1 413 /)
      expect(bodyOf(announced)).toEqual(inForm("too_large"))
      const chunk = `800\r\n${"x".repeat(0x800)}\r\n`
      const grown = await answerTo(`${requestLine}transfer-encoding: chunked\r\n\r\n${chunk.repeat(4)}`)
      expect(grown).toMatch(/^HTTP\/1.1 413 /)
      expect(bodyOf(grown)).toEqual(inForm("too_large"))
      const full = JSON.stringify(saying("x"))
      expect(await answerTo(requestOf(full.padEnd(bodyMaxBytes)))).toMatch(/^HTTP\/1.1 200 /)
      expect(await answerTo(requestOf(full.padEnd(bodyMaxBytes + 1)))).toMatch(/^HTTP\/1.1 413 /)
    })
  })
)

const streaming = (text: string) => JSON.stringify({ ...saying(text), stream: true })

it.live("a stream says what it is, ends with [DONE], and an error is its last event", () =>
  Effect.gen(function* () {
    const { address } = yield* v1({ delayMs: 5 })
    yield* Effect.promise(async () => {
      const ask = async (text: string) => {
        const response = await fetch(`${address}/v1/chat/completions`, { method: "POST", body: streaming(text) })
        const bytes = await response.bytes()
        const events = readSse(sseReader(100_000), bytes).map(({ data }) => data)
        return { response, events }
      }
      const { events, response } = await ask("hello")
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-request-id": expect.stringMatching(/^chatcmpl-/)
      })
      expect(events.at(-1)).toBe("[DONE]")
      const broken = await ask("!drop 3")
      expect(broken.response.status).toBe(200)
      expect(broken.events.filter((data) => data === "[DONE]")).toEqual([])
      expect(JSON.parse(broken.events.at(-1)!)).toMatchObject({ error: { code: "model_lost", param: null } })
      const refused = await ask("!status 404")
      expect(refused.response.status).toBe(400)
    })
  })
)

it.live("while it waits in the queue a comment keeps a stream alive, which the client passes over", () =>
  Effect.gen(function* () {
    const server = yield* v1({ slots: 1 })
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const first = await completions.create({ ...saying("!hang 2"), stream: true })
      await untilLoad(server, 1, 0)
      const bare = send(server.address, requestOf(streaming("bare")))
      const second = completions.create({ ...saying("second"), stream: true })
      await untilLoad(server, 1, 2)
      await expect.poll(bare.heard, { timeout: 20_000 }).toContain("\r\n: still waiting\n\n\r\n")
      const waiting = await second
      first.controller.abort()
      expect(await textOf(waiting)).toBe("echo: second")
      const heard = await bare.closed
      expect(heard).toMatch(/^HTTP\/1.1 200 /)
      expect(heard).toContain('"finish_reason":"stop"')
      expect(heard).toContain("data: [DONE]")
    })
  })
)

it.live("a reader that takes nothing holds no slot, and has its whole answer when it reads", () =>
  Effect.gen(function* () {
    const server = yield* v1({ slots: 1, limits: "{ answerTokensMax: 100000, bodyMaxBytes: 16000000 }" })
    yield* Effect.promise(async () => {
      // In eight deltas, each a line that the engine takes.
      const long = "x".repeat(1_600_000)
      const slow = send(server.address, requestOf(streaming(long)))
      slow.socket.once("connect", () => slow.socket.pause())
      await expect.poll(() => server.model.stats().finished, { timeout: 20_000 }).toBe(1)
      await untilLoad(server, 0, 0)
      const { choices } = await server.client.chat.completions.create(saying("next"))
      expect(choices[0]?.message.content).toBe("echo: next")
      expect(slow.heard()).not.toContain("[DONE]")
      slow.socket.resume()
      const heard = await slow.closed
      expect(heard).toContain("data: [DONE]")
      expect(heard.match(/x+/g)?.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(long.length)
    })
  })
)
