/** A model server that says what a test tells it to, word by word. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { text as textOf } from "node:stream/consumers"
import { scheduler } from "node:timers/promises"
import { onTestFinished } from "vitest"

export interface Script {
  readonly deltas: ReadonlyArray<string>
  /** Before each of them. */
  readonly delayMs: number
}

export interface ScriptedModel {
  readonly url: string
  /** How often it was asked so far. */
  readonly asked: () => number
  /** Lets all answers go on to their end at once. */
  hurry: boolean
}

/** `scriptOf` the last user message. */
export async function startScriptedModel(scriptOf: (text: string) => Script): Promise<ScriptedModel> {
  let asked = 0
  const server = createServer(async (request, response) => {
    if (request.method !== "POST")
      return void response.end(JSON.stringify({ object: "list", data: [{ id: "script" }] }))
    const { messages } = JSON.parse(await textOf(request)) as { messages: ReadonlyArray<{ content: string }> }
    asked++
    response.writeHead(200, { "content-type": "text/event-stream" })
    const chunk = (delta: object, reason: string | null) =>
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`)
    const { delayMs, deltas } = scriptOf(messages.at(-1)?.content ?? "")
    for (const content of deltas) {
      if (!model.hurry && delayMs > 0) await scheduler.wait(delayMs)
      if (response.destroyed) return
      chunk({ content }, null)
    }
    chunk({}, "stop")
    response.end("data: [DONE]\n\n")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const model: ScriptedModel = { url, asked: () => asked, hurry: false }
  return model
}

/** Each word a delta. */
export const wordByWord = (text: string, delayMs: number): Script => ({
  deltas: text.match(/\S+\s*|\s+/g) ?? [],
  delayMs
})
