/**
 * The two servers that Parley talks to, in one lean process: a model that answers at once, and the receiver of
 * callbacks. `node bench/counterparts.ts`, with an IPC channel: it sends its ports, and answers what counterpart.ts
 * asks.
 */
import { type Asked, answerText, type Told } from "./counterpart.ts"
import { listenLean, responseOf } from "./lean-http.ts"

const deltas = Number(process.argv[2] ?? 8)
const nowMs = () => Number(process.hrtime.bigint()) / 1e6
const tell = (told: Told) => process.send?.(told)

/** When each numbered message was asked about first. */
let askedMs = new Map<number, number>()
let delivered = 0
let isTelling = false
let untold: Array<string> = []

const answer = responseOf("200 OK", ["content-type: text/event-stream"], eventsOf(answerText, deltas))
const accepted = responseOf("204 No Content", [])

const model = await listenLean((head, body) => {
  if (head.startsWith("GET")) return responseOf("200 OK", ["content-type: application/json"], '{"data":[]}')
  // The text of the last message holds the last `#` of the body, behind its number.
  const end = body.lastIndexOf("#")
  const number = Number(body.toString("latin1", body.lastIndexOf("#", end - 1) + 1, end))
  if (!askedMs.has(number)) askedMs.set(number, nowMs())
  return answer
})

const callback = await listenLean((_, body) => {
  delivered++
  if (isTelling) {
    const [, thread = ""] = /^\{"conversation":"([^"]+)"/.exec(body.toString("latin1", 0, 64)) ?? []
    if (untold.push(thread) === 1) setImmediate(flush)
  }
  return accepted
})

function flush(): void {
  tell({ type: "delivered", threads: untold })
  untold = []
}

process.on("message", (asked: Asked) => {
  if (asked.type === "telling") isTelling = asked.isOn
  else {
    tell({ type: "seen", askedMs: [...askedMs], delivered })
    if (asked.forget) {
      askedMs = new Map()
      delivered = 0
    }
  }
})
process.on("disconnect", () => process.exit())
tell({ type: "listening", model: model.port, callback: callback.port })

function eventsOf(text: string, count: number): string {
  const length = Math.ceil(text.length / count)
  const parts = Array.from({ length: count }, (_, index) => text.slice(index * length, (index + 1) * length))
  const event = (fields: object) =>
    `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model: "m", ...fields })}\n\n`
  return [
    ...parts.map((content) => event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })),
    event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }),
    event({ choices: [], usage: { prompt_tokens: 32, completion_tokens: count, total_tokens: 32 + count } }),
    "data: [DONE]\n\n"
  ].join("")
}
