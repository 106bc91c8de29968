/** What the corpus consists of: dialogues in one language, and how they are written as ChatML. */
import type { ChatMessage } from "../../src/inference/engine.ts"

export type Language = "en" | "zh"
export const languages: ReadonlyArray<Language> = ["en", "zh"]

/** A question and its answer. */
export interface Turn {
  readonly intent: string
  readonly asked: string
  readonly answer: string
}

export interface Dialogue {
  readonly language: Language
  /** Undefined when the model is told nothing, as a client of /v1 may do. */
  readonly system: string | undefined
  readonly turns: ReadonlyArray<Turn>
}

/** A piece of the text of a dialogue; the model learns to write what is `learned`, and reads the rest. */
export interface Piece {
  readonly text: string
  readonly special: boolean
  readonly learned: boolean
}

/** As the template of the model's file writes it. An answer is learned with the token that ends it. */
export function piecesOf(messages: ReadonlyArray<ChatMessage>): ReadonlyArray<Piece> {
  return messages.flatMap(({ content, role }) => {
    const learned = role === "assistant"
    return [
      { text: "<|im_start|>", special: true, learned: false },
      { text: `${role}\n`, special: false, learned: false },
      { text: content, special: false, learned },
      { text: "<|im_end|>", special: true, learned },
      { text: "\n", special: false, learned: false }
    ]
  })
}

export function messagesOf({ system, turns }: Dialogue): ReadonlyArray<ChatMessage> {
  const head: ReadonlyArray<ChatMessage> = system === undefined ? [] : [{ role: "system", content: system }]
  return [
    ...head,
    ...turns.flatMap(
      ({ answer, asked }): ReadonlyArray<ChatMessage> => [
        { role: "user", content: asked },
        { role: "assistant", content: answer }
      ]
    )
  ]
}

export const hasHan = (text: string) => /\p{Script=Han}/u.test(text)
