/** The model's own chat template, applied to a conversation. */
import { JinjaTemplateChatWrapper, type LlamaModel, type Token, type Tokenizer } from "node-llama-cpp"
import type { ChatMessage } from "../engine.ts"
import type { Model } from "./model.ts"
import { trimmed } from "./prompt.ts"

/** Throws when the model has no template. */
export function promptsOf(model: LlamaModel): Model["prompt"] {
  const source = model.fileInfo.metadata.tokenizer?.chat_template
  if (source === undefined) throw new Error("it has no chat template: take a model that was trained to converse")
  const { tokenizer } = model
  const template = new JinjaTemplateChatWrapper({ template: source, tokenizer, functionCallMessageTemplate: "noJinja" })
  const start = model.tokens.shouldPrependBosToken ? model.tokens.bos : undefined
  return (messages, tokensMax, mayDrop) => {
    const tokenise = remembering(tokenizer)
    return trimmed(messages, tokensMax, mayDrop, (some) => {
      // What a person wrote is plain text in it, and the template's own text is not: <|im_start|> typed by a person
      // becomes the letters and never the token.
      const { contextText } = template.generateContextState({ chatHistory: some.map(itemOf).concat(answerToCome) })
      const tokens = contextText.tokenize(tokenise)
      return start === undefined || start === null || tokens[0] === start ? tokens : [start, ...tokens]
    })
  }
}

const answerToCome = { type: "model" as const, response: [""] }

function itemOf({ content, role }: ChatMessage) {
  if (role === "assistant") return { type: "model" as const, response: [content] }
  return { type: role === "system" ? ("system" as const) : ("user" as const), text: content }
}

/** Fitting a long conversation tokenises the same messages several times. */
function remembering(tokenizer: Tokenizer): Tokenizer {
  const known = new Map<string, Array<Token>>()
  const tokenise = (text: string, special?: boolean | "builtin", options?: "trimLeadingSpace") => {
    const key = `${special}/${options}/${text}`
    const tokens = known.get(key) ?? (tokenizer as (...all: Array<unknown>) => Array<Token>)(text, special, options)
    known.set(key, tokens)
    return tokens
  }
  const { detokenize, isEogToken, isSpecialToken } = tokenizer
  return Object.assign(tokenise as Tokenizer, { detokenize, isEogToken, isSpecialToken })
}
