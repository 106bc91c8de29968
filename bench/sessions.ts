/** node-llama-cpp as its documentation shows it: a chat session for each person, which nothing batches. */
import { getLlama, LlamaChatSession } from "node-llama-cpp"
import { nowMs } from "./load.ts"

export interface SessionsOptions {
  readonly file: string
  readonly people: number
  readonly contextTokens: number
  readonly answerTokensMax: number
  readonly seconds: number
  readonly prompt: () => string
}

/** Answer tokens a second, with the threads that it chooses by itself. */
export async function askSessions(options: SessionsOptions): Promise<number> {
  const { answerTokensMax: maxTokens, contextTokens: contextSize, file, people, prompt, seconds } = options
  const llama = await getLlama({ gpu: false, build: "never" })
  await using model = await llama.loadModel({ modelPath: file })
  await using context = await model.createContext({ contextSize, sequences: people })
  let tokens = 0
  const onToken = (more: ReadonlyArray<unknown>) => {
    tokens += more.length
  }
  const startedMs = nowMs()
  const untilMs = startedMs + seconds * 1_000
  const one = async () => {
    const session = new LlamaChatSession({ contextSequence: context.getSequence(), systemPrompt: "" })
    do {
      session.resetChatHistory()
      await session.prompt(prompt(), { temperature: 0.7, topP: 0.95, topK: 40, maxTokens, onToken })
    } while (nowMs() < untilMs)
  }
  await Promise.all(Array.from({ length: people }, one))
  const perSecond = (tokens * 1_000) / (nowMs() - startedMs)
  await llama.dispose()
  return perSecond
}
