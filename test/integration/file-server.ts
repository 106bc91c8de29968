/** A real HTTP server with one file, that knows ranges or does not, changes the file, and cuts connections. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { onTestFinished } from "vitest"

export interface Served {
  bytes: Buffer
  /** How it says that it is the same file. */
  etag?: string | undefined
  lastModified?: string | undefined
  ranges: boolean
  /** The connections are cut after so many bytes of their bodies, one after the other; then none. */
  cuts: Array<number>
  /** Between two pieces. */
  delayMs: number
  pieceBytes: number
  /** Answers instead, for as long as it returns true. */
  instead?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
}

export interface FileServer {
  readonly origin: string
  /** Of the file: any path is. */
  readonly url: string
  readonly served: Served
  readonly requests: ReadonlyArray<{ readonly path: string; readonly headers: IncomingHttpHeaders }>
}

const cutDelayMs = 15

/** Bytes that look like a model to whoever reads four of them, the same ones for the same seed. */
export function modelBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[at] = state >>> 16
  }
  bytes.write("GGUF")
  return bytes
}

/** Closed after the test. */
export async function startFileServer(options: Partial<Served> = {}): Promise<FileServer> {
  const served: Served = {
    bytes: modelBytes(50_000),
    etag: '"one"',
    ranges: true,
    cuts: [],
    delayMs: 0,
    pieceBytes: 16_384,
    ...options
  }
  const requests: Array<{ path: string; headers: IncomingHttpHeaders }> = []
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? "", headers: request.headers })
    if (served.instead?.(request, response) === true) return
    answer(served, request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { origin, url: `${origin}/model.gguf`, served, requests }
}

async function answer(served: Served, { headers }: IncomingMessage, response: ServerResponse): Promise<void> {
  const { bytes, delayMs, etag, lastModified, pieceBytes } = served
  const validator = etag ?? lastModified
  if (etag !== undefined) response.setHeader("etag", etag)
  if (lastModified !== undefined) response.setHeader("last-modified", lastModified)
  const same = headers["if-none-match"] ?? headers["if-modified-since"]
  if (same !== undefined && same === validator) return void response.writeHead(304).end()
  const wanted = /^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1]
  const isStill = headers["if-range"] === undefined || headers["if-range"] === validator
  const from = served.ranges && isStill && wanted !== undefined ? Number(wanted) : undefined
  if (from !== undefined && from >= bytes.length) {
    return void response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end()
  }
  const body = bytes.subarray(from ?? 0)
  response.writeHead(from === undefined ? 200 : 206, {
    "content-length": body.length,
    "content-type": "application/octet-stream",
    ...(from !== undefined && { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` })
  })
  const cut = served.cuts.shift()
  const sent = body.subarray(0, cut ?? body.length)
  for (let at = 0; at < sent.length && !response.destroyed; at += pieceBytes) {
    await new Promise((resolve) => response.write(sent.subarray(at, at + pieceBytes), resolve))
    if (delayMs > 0) await wait(delayMs)
  }
  if (cut === undefined) return void response.end()
  // What was sent is to arrive: a client forgets what it has not read when the connection breaks.
  await wait(cutDelayMs)
  response.destroy()
}
