/** The web chat under the conformance kit: its platform is a page, and the record that the page is shown. */
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"
import type { Adapter } from "../../src/adapters/adapter.ts"
import { openWeb, type Page } from "../../src/adapters/web/web.ts"
import { openSockets } from "../../src/http/ws.ts"
import { type Arrival, type Bench, type Harness, type Meeting, settle, type Told } from "./conformance-bench.ts"
import { PageClient } from "./page-client.ts"

const digest = (text: string) => createHash("sha256").update(text).digest("hex")
/** A conversation of the web chat is 128 bits. */
const threadOf = (thread: string) => digest(thread).slice(0, 32)
const uuidOf = (key: string) => digest(key).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5")

/** `disturb` makes another adapter of it: the kit has to notice what it breaks. */
export const webHarness = (disturb: (adapter: Adapter) => Adapter = (adapter) => adapter): Harness =>
  Effect.gen(function* () {
    const record = new Recorded()
    const open = openWeb({
      account: "chat",
      history: (_, since, max) => Effect.sync(() => record.page(since, max)),
      wait: () => Effect.undefined,
      typing: () => {}
    })
    const adapter = disturb(yield* open)
    const server = createServer()
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
    )
    yield* openSockets(server, { connect: () => adapter.connect, refuse: () => undefined })
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`
    const page = yield* Effect.acquireRelease(
      Effect.sync(() => new PageClient(url, threadOf("thread-1"))),
      (client) => Effect.sync(() => client.cut())
    )
    const looking = Effect.promise(() => page.connect())
    const isLooking = () => page.frames.length > 0 && page.closed === undefined
    let planned: Array<Meeting> = []
    let connecting: Promise<boolean> | undefined
    const send: Adapter["send"] = Effect.fnUntraced(function* (outbound) {
      const meeting = planned.shift()
      if (!isLooking() && meeting !== "nobody") yield* looking
      if (meeting === "cut-before") page.cut()
      const thread = threadOf(outbound.thread)
      // As the runtime does: the record first, and what is sent then.
      const seq = record.add(outbound.key, outbound.text)
      adapter.show?.(thread, { type: "recorded", seq, turn: outbound.turn, attempt: 1, value: "done" })
      const receipt = yield* adapter.send({ ...outbound, thread })
      yield* settle
      if (meeting === "cut-before") yield* looking
      yield* settle
      return receipt
    })
    return {
      adapter: { ...adapter, send },
      platform: {
        deliver: ({ key, text }) =>
          Effect.promise(async () => {
            connecting ??= connected(page)
            if (!(await connecting)) return later
            return toldBy(await page.write(text, uuidOf(key)))
          }),
        meet: (...meetings) => {
          planned = [...planned, ...meetings]
        },
        throttleMs: 0,
        arrivals: () => record.arrivals(page),
        arrived: (count) => Effect.promise(() => page.until(() => page.messages.size >= count)),
        stop: Effect.sync(() => page.cut())
      },
      secrets: []
    } satisfies Bench
  })

const later: Told = { as: "later", afterMs: 0 }

/** False when it was sent away. */
async function connected(page: PageClient): Promise<boolean> {
  await page.open()
  page.send({ type: "hello", conversation: page.conversation! })
  await page.until(() => page.closed !== undefined || page.frames.length > 0)
  return page.closed === undefined
}

function toldBy(frame: Awaited<ReturnType<PageClient["write"]>>): Told {
  if (frame?.type === "accepted") return { as: "acknowledged" }
  if (frame?.type === "rejected" && frame.retryAfterMs !== undefined) {
    return { as: "later", afterMs: frame.retryAfterMs }
  }
  return frame === undefined ? later : { as: "refused", words: JSON.stringify(frame) }
}

/** What the journal is to the web chat: each message once, however often it is sent. */
class Recorded {
  readonly #rows: Array<{ readonly key: string; readonly text: string }> = []

  add(key: string, text: string): number {
    if (!this.#rows.some((row) => row.key === key)) this.#rows.push({ key, text })
    return this.#rows.length
  }

  page(since: number | undefined, max: number): Page {
    const rows = this.#rows.map(({ text }, index) => ({
      seq: index + 1,
      role: "assistant" as const,
      text,
      turn: index + 1,
      atMs: 0
    }))
    const wanted = since === undefined ? rows.slice(-max) : rows.slice(since, since + max)
    return { seq: rows.length, messages: wanted }
  }

  arrivals(page: PageClient): ReadonlyArray<Arrival> {
    return page.frames.flatMap((frame, index) => {
      if (frame.type !== "message") return []
      const isFirst = !page.frames.slice(0, index).some((one) => one.type === "message" && one.seq === frame.seq)
      return [{ key: this.#rows[frame.seq - 1]!.key, bytes: JSON.stringify(frame), shown: isFirst }]
    })
  }
}
