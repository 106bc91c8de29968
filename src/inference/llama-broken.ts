/** Why llama.cpp never works with a file, or not with so many sequences, and the mend. */
import { EngineBroken } from "./engine.ts"
import type { LlamaOptions } from "./llama.ts"
import type { Unopened } from "./worker/wire.ts"

type Sizes = Pick<LlamaOptions, "name" | "file" | "contextTokens" | "slotsMax">

export const fileMend =
  "Put a whole GGUF file of a chat model there, or name another file in the configuration of this model."

export function unopened({ contextTokens, slotsMax }: Sizes, { reason, what }: Unopened): string {
  if (what === "file") return `llama.cpp cannot load it: ${reason}. ${fileMend}`
  return `there is no room for ${slotsMax} sequences of ${contextTokens} tokens: ${reason}. Lower one of these numbers.`
}

export function broken({ file, name }: Sizes, what: string): EngineBroken {
  return new EngineBroken({ model: name, reason: `${file}: ${what}` })
}
