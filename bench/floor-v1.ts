/**
 * The floor of a chat completion: the least program that stands between a client and a model server, with nothing of
 * Parley in it. It reads the request, asks, and answers whole or as events. `node bench/floor-v1.ts MODEL_PORT`, with
 * an IPC channel.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { text as textOf } from "node:stream/consumers"

const port = Number(process.argv[2])
const agent = new Agent({ keepAlive: true, maxFreeSockets: 1_024 })

interface Body {
  readonly messages: ReadonlyArray<unknown>
  readonly stream?: boolean
}

function ask({ messages }: Body): Promise<IncomingMessage> {
  const body = JSON.stringify({ messages, stream: true, stream_options: { include_usage: true } })
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    request({ agent, port, method: "POST", path: "/v1/chat/completions", headers }, resolve)
      .on("error", reject)
      .end(body)
  })
}

async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = JSON.parse(await textOf(incoming)) as Body
  const answered = await ask(body)
  if (body.stream === true) {
    response.writeHead(200, { "content-type": "text/event-stream" })
    answered.pipe(response)
    return
  }
  let content = ""
  for (const event of (await textOf(answered)).split("\n\n")) {
    if (!event.startsWith("data: {")) continue
    content += JSON.parse(event.slice(6)).choices[0]?.delta.content ?? ""
  }
  const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }]
  const text = JSON.stringify({ id: "1", object: "chat.completion", created: 0, model: "m", choices })
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) }).end(text)
}

const server = createServer((incoming, response) => {
  answer(incoming, response).catch((error: Error) => response.destroy(error))
})
server.listen(0, "127.0.0.1", 1_024, () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on("disconnect", () => process.exit())
