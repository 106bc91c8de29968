/** What a GGUF file says of a model of llama's architecture with a byte-level BPE vocabulary and ChatML. */
import type { GgufValue } from "./gguf.ts"
import type { Vocabulary } from "./random-vocabulary.ts"

export interface LlamaShape {
  readonly embedding: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly feedForward: number
  /** In tokens. */
  readonly context: number
}

const chatTemplate =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

export function llamaMetadata(
  name: string,
  shape: LlamaShape,
  { merges, special, tokens, types }: Vocabulary
): Readonly<Record<string, GgufValue>> {
  return {
    "general.architecture": { type: "string", value: "llama" },
    "general.name": { type: "string", value: name },
    "general.alignment": { type: "u32", value: 32 },
    "general.file_type": { type: "u32", value: 7 },
    "general.quantization_version": { type: "u32", value: 2 },
    "llama.context_length": { type: "u32", value: shape.context },
    "llama.embedding_length": { type: "u32", value: shape.embedding },
    "llama.block_count": { type: "u32", value: shape.layers },
    "llama.feed_forward_length": { type: "u32", value: shape.feedForward },
    "llama.attention.head_count": { type: "u32", value: shape.heads },
    "llama.attention.head_count_kv": { type: "u32", value: shape.kvHeads },
    "llama.attention.layer_norm_rms_epsilon": { type: "f32", value: 1e-5 },
    "llama.rope.dimension_count": { type: "u32", value: shape.embedding / shape.heads },
    "llama.rope.freq_base": { type: "f32", value: 10_000 },
    "llama.vocab_size": { type: "u32", value: tokens.length },
    "tokenizer.ggml.model": { type: "string", value: "gpt2" },
    "tokenizer.ggml.pre": { type: "string", value: "smollm" },
    "tokenizer.ggml.tokens": { type: "string[]", value: tokens },
    "tokenizer.ggml.token_type": { type: "i32[]", value: types },
    "tokenizer.ggml.merges": { type: "string[]", value: merges },
    "tokenizer.ggml.bos_token_id": { type: "u32", value: special["<|im_start|>"] },
    "tokenizer.ggml.eos_token_id": { type: "u32", value: special["<|im_end|>"] },
    "tokenizer.ggml.padding_token_id": { type: "u32", value: special["<|endoftext|>"] },
    "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
    "tokenizer.chat_template": { type: "string", value: chatTemplate }
  }
}
