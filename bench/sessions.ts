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

/** Answer tokens a second, with the threads that it chooses by itself; what is not answered then is cut off. */
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
  const signal = AbortSignal.timeout(seconds * 1_000)
  const one = async () => {
    const session = new LlamaChatSession({ contextSequence: context.getSequence(), systemPrompt: "" })
    const options = { temperature: 0.7, topP: 0.95, topK: 40, maxTokens, onToken, signal, stopOnAbortSignal: true }
    while (!signal.aborted) {
      session.resetChatHistory()
      await session.prompt(prompt(), options).catch((cause: unknown) => {
        // Of a prompt that was still being read there is nothing to give back.
        if (!signal.aborted) throw cause
      })
    }
  }
  await Promise.all(Array.from({ length: people }, one))
  const perSecond = (tokens * 1_000) / (nowMs() - startedMs)
  await llama.dispose()
  return perSecond
}
