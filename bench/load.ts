/**
 * People who write: signed requests made before the clock runs, sent when they are due whatever became of earlier ones,
 * and timed from when they were due. So a server that stalls is charged for everybody who would have written meanwhile.
 */
import { Worker } from "node:worker_threads"
import { keyOf, sign } from "../src/adapters/webhook/signature.ts"
import { luckOf } from "../test/integration/seeded.ts"
import type { LeanClient } from "./lean-http.ts"

export const account = "bench"
export const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`
const key = keyOf(secret)!

export const nowMs = () => Number(process.hrtime.bigint()) / 1e6

export interface Message {
  readonly number: number
  readonly thread: string
}

/** A signature is good for five minutes. */
export function requestOf({ number, thread }: Message): Buffer {
  const text = `#${number}# How do I bring a washing machine to the second floor without taking it apart?`
  const body = JSON.stringify({ conversation: thread, user: { id: `u-${thread}` }, text })
  const signed = sign(key, `evt_${thread}_${number}`, Date.now(), body)
  const headers = Object.entries({ ...signed, "content-type": "application/json" }).map(
    ([name, value]) => `${name}: ${value}`
  )
  const length = `content-length: ${Buffer.byteLength(body)}`
  return Buffer.from(
    [`POST /api/webhook/${account} HTTP/1.1`, "host: 127.0.0.1", ...headers, length, "", body].join("\r\n")
  )
}

/** `count` messages over `conversations`, each in its turn. */
export function messagesOf(name: string, count: number, conversations: number, first = 0): ReadonlyArray<Message> {
  return Array.from({ length: count }, (_, index) => ({
    number: first + index,
    thread: `${name}-${index % conversations}`
  }))
}

/** When strangers write who do not know of each other: a Poisson process, the same one for the same seed. */
export function arrivals(seed: string, perSecond: number, count: number): Float64Array {
  const luck = luckOf(seed)
  let atMs = 0
  return Float64Array.from({ length: count }, () => {
    atMs -= (Math.log(1 - luck()) * 1000) / perSecond
    return atMs
  })
}

export interface Sent {
  /** From when it was due to its 202. */
  readonly latencyMs: Float64Array
  /** When it was due, and when it was known to be accepted. */
  readonly dueMs: Float64Array
  readonly acceptedMs: Float64Array
  /** How late this client itself was. */
  readonly latenessMs: Float64Array
}

/** Sends all of them at their times, and waits for all answers. */
export async function sendAtTheirTimes(
  client: LeanClient,
  requests: ReadonlyArray<Buffer>,
  offsetsMs: Float64Array
): Promise<Sent> {
  const count = requests.length
  const startMs = nowMs() + 200
  const dueMs = offsetsMs.map((offset) => startMs + offset)
  const latenessMs = new Float64Array(count)
  const acceptedMs = new Float64Array(count)
  const pacer = new Worker(new URL("./pacer.ts", import.meta.url), { workerData: { offsetsMs, startMs } })
  await new Promise<void>((resolve, reject) => {
    let sent = 0
    let answered = 0
    const send = (index: number) => {
      latenessMs[index] = nowMs() - dueMs[index]!
      client.send(requests[index]!, (status) => {
        if (status !== 202) reject(new Error(`a message was answered ${status}`))
        acceptedMs[index] = nowMs()
        if (++answered === count) resolve()
      })
    }
    pacer.on("message", (due: number) => {
      while (sent < due) send(sent++)
    })
    pacer.on("error", reject)
  })
  await pacer.terminate()
  return { latencyMs: acceptedMs.map((at, index) => at - dueMs[index]!), dueMs, acceptedMs, latenessMs }
}

/** Sends all of them, `together` at a time, each when another was accepted. */
export async function sendAll(client: LeanClient, requests: ReadonlyArray<Buffer>, together: number): Promise<void> {
  let next = 0
  const one = async () => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      const message = request
      const status = await new Promise<number>((resolve) => client.send(message, resolve))
      if (status !== 202) throw new Error(`a message was answered ${status}`)
    }
  }
  await Promise.all(Array.from({ length: together }, one))
}
