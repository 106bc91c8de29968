/** A whole server with a model that a test can see into, and OpenAI's own client in front of it. */
import { connect, type Socket } from "node:net"
import { Effect } from "effect"
import OpenAI from "openai"
import { expect } from "vitest"
import { type MainProcess, startMain } from "./main-process.ts"
import { type ModelServer, startModelServer } from "./model-server.ts"
import { withDatabase } from "./postgres.ts"

export interface V1 {
  readonly address: string
  readonly main: MainProcess
  /** It asks once, unless a test says otherwise. */
  readonly client: OpenAI
  /** Requests that run, and that wait, as `/metrics` says. */
  readonly load: () => Promise<{ readonly running: number; readonly waiting: number }>
}

export interface Options {
  readonly slots?: number
  /** In the form of YAML: `{ queueMax: 1 }`. */
  readonly limits?: string
  /** Of the model, in the form of YAML. */
  readonly sampling?: string
  /** Of the model, before each of its eight deltas. */
  readonly delayMs?: number
  readonly drainMs?: number
}

export const echo = "echo"

/** The scripted model server of model-server.ts behind the engine for OpenAI's protocol. */
export const v1 = ({ delayMs = 0, drainMs = 8_000, limits = "{}", sampling = "{}", slots = 4 }: Options = {}) =>
  Effect.gen(function* () {
    const model: ModelServer = yield* Effect.acquireRelease(
      Effect.promise(() => startModelServer({ delayMs })),
      (opened) => Effect.promise(() => opened.close())
    )
    const yaml = `models:
  - { name: ${echo}, engine: openai, baseUrl: "${model.url}", slots: ${slots}, sampling: ${sampling} }
limits: ${limits}
drainMs: ${drainMs}
`
    return { ...(yield* open(yaml)), model }
  })

/** With `yaml`, and what Parley brings along where it says nothing. */
export const open = Effect.fnUntraced(function* (yaml: string, dir?: string) {
  const url = yield* withDatabase
  const main = startMain({ yaml, env: { DATABASE_URL: url }, ...(dir !== undefined && { dir }) })
  const address = yield* Effect.promise(() => main.ready())
  const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0 })
  const load = async () => {
    const text = await (await fetch(`${address}/metrics`)).text()
    const gauge = (name: string) => {
      const samples = [...text.matchAll(new RegExp(`^parley_turns_${name}(?:\\{.*\\})? (\\d+)$`, "gm"))]
      return samples.reduce((sum, [, value]) => sum + Number(value), samples.length > 0 ? 0 : Number.NaN)
    }
    return { running: gauge("running"), waiting: gauge("waiting") }
  }
  const opened: V1 = { address, main, client, load }
  return opened
})

export const saying = (content: string, model = echo) => ({ model, messages: [{ role: "user" as const, content }] })

export const untilLoad = (v1: V1, running: number, waiting: number) =>
  expect.poll(v1.load, { timeout: 10_000, interval: 10 }).toEqual({ running, waiting })

/** What it fails with. */
export async function failing(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error("it did not fail")
}

export async function textOf(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<string> {
  let text = ""
  for await (const { choices } of stream) text += choices[0]?.delta.content ?? ""
  return text
}

export async function all<A>(items: AsyncIterable<A>): Promise<ReadonlyArray<A>> {
  const list: Array<A> = []
  for await (const item of items) list.push(item)
  return list
}

/** A request as bytes, and all that comes back as it comes. */
export interface Wire {
  readonly socket: Socket
  readonly heard: () => string
  /** All of it, once the server has closed the connection. */
  readonly closed: Promise<string>
}

export function send(address: string, bytes: string | Uint8Array): Wire {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname, () => socket.write(bytes))
  let heard = ""
  socket.setEncoding("utf8")
  socket.on("data", (text: string) => {
    heard += text
  })
  socket.on("error", () => {})
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(heard)))
  return { socket, heard: () => heard, closed }
}

const line = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"

/** A whole request with this body. */
export function requestOf(body: string | Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${line}content-length: ${Buffer.byteLength(body)}\r\n\r\n`), Buffer.from(body)])
}

export const requestLine = line
