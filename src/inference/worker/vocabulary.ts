/** Which bytes a token stands for. */
import type { LlamaModel } from "node-llama-cpp"
import { bytesOfCharacters } from "../byte-alphabet.ts"
import { tokenOf } from "./internals.ts"
import type { Model } from "./model.ts"

export function vocabularyOf(model: LlamaModel): Pick<Model, "bytesOf" | "isEnd"> {
  const names = model.fileInfo.metadata.tokenizer?.ggml?.tokens ?? []
  return {
    // llama.cpp gives text: U+FFFD for a token that is a part of a character. Its name in the vocabulary has the bytes.
    bytesOf: (token, before) => {
      const alone = model.detokenize([tokenOf(token)])
      const bytes = alone.includes("\uFFFD") ? bytesOfName(names[token] ?? "") : undefined
      return bytes ?? Buffer.from(model.detokenize([tokenOf(token)], false, before.map(tokenOf)), "utf8")
    },
    isEnd: (token) => model.isEogToken(tokenOf(token))
  }
}

/** Byte-level BPE writes bytes in GPT-2's alphabet, SentencePiece as <0xE4>. */
function bytesOfName(name: string): Uint8Array | undefined {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(name)?.[1]
  return byte === undefined ? bytesOfCharacters(name) : Uint8Array.of(Number.parseInt(byte, 16))
}
