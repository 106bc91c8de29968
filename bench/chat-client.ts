/** A client of /v1/chat/completions that takes the time of everything it is told. Each request has its connection. */
import { Agent, request } from "node:http"
import { createInterface } from "node:readline"
import { nowMs } from "./load.ts"

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

export interface Asked {
  readonly messages: ReadonlyArray<ChatMessage>
  readonly answerTokensMax: number
  readonly user?: string
  /** At the first text. */
  readonly onFirst?: () => void
}

export interface Told {
  readonly status: number
  /** From the request to the first text. */
  readonly firstMs: number
  /** From the first text to the end. */
  readonly restMs: number
  readonly text: string
  readonly promptTokens: number
  readonly answerTokens: number
  /** What the server says to wait, where it refuses. */
  readonly retryAfterMs: number
}

export interface ChatClient {
  readonly ask: (asked: Asked) => Promise<Told>
  readonly close: () => void
}

/** As people set them, so that both sides sample with the same chain. */
const sampling = { temperature: 0.7, top_p: 0.95, top_k: 40, min_p: 0 }

export function openChatClient(port: number, model: string): ChatClient {
  const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY })
  const ask = ({ answerTokensMax, messages, onFirst, user }: Asked) =>
    new Promise<Told>((resolve, reject) => {
      const body = JSON.stringify({
        ...{ model, messages, max_tokens: answerTokensMax, stream: true, stream_options: { include_usage: true } },
        ...sampling,
        ...(user !== undefined && { user })
      })
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
      const sentMs = nowMs()
      const asking = request({ host: "127.0.0.1", port, method: "POST", path: "/v1/chat/completions", agent, headers })
      asking.on("error", reject)
      asking.on("response", (response) => {
        const told = { text: "", firstMs: Number.NaN, promptTokens: 0, answerTokens: 0 }
        createInterface({ input: response }).on("line", (line) => {
          try {
            hear(told, line, sentMs, onFirst)
          } catch (cause) {
            reject(cause)
          }
        })
        response.on("error", reject)
        response.on("end", () => {
          const { headers, statusCode: status = 0 } = response
          const retryAfterMs = Number(headers["retry-after"] ?? 0) * 1_000
          // The lines of the last bytes are told after them.
          setImmediate(() => resolve({ ...told, status, retryAfterMs, restMs: nowMs() - sentMs - told.firstMs }))
        })
      })
      asking.end(body)
    })
  return { ask, close: () => agent.destroy() }
}

interface Chunk {
  readonly error?: { readonly message: string }
  readonly choices?: ReadonlyArray<{ readonly delta?: { readonly content?: string | null } }>
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
}

function hear(
  told: { text: string; firstMs: number; promptTokens: number; answerTokens: number },
  line: string,
  sentMs: number,
  onFirst: (() => void) | undefined
): void {
  if (!line.startsWith("data: {")) return
  const { choices = [], error, usage } = JSON.parse(line.slice("data: ".length)) as Chunk
  if (error !== undefined) throw new Error(`an answer broke off: ${error.message}`)
  const text = choices[0]?.delta?.content ?? ""
  if (text !== "" && told.text === "") {
    told.firstMs = nowMs() - sentMs
    onFirst?.()
  }
  told.text += text
  if (usage) [told.promptTokens, told.answerTokens] = [usage.prompt_tokens, usage.completion_tokens]
}
