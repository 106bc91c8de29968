/**
 * Every field of OpenAI's chat completion request, and what becomes of it here. README.md has the same as a table.
 * https://platform.openai.com/docs/api-reference/chat/create
 */
import * as Schema from "effect/Schema"
import { honoured, idle, refused } from "./request-fields.ts"

export const messagesMax = 1_000
export const stopsMax = 4
export const stopMaxChars = 256
export const biasesMax = 1_024

const between = (minimum: number, maximum: number) => Schema.Finite.check(Schema.isBetween({ minimum, maximum }))
const whole = (minimum: number) => Schema.Finite.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(minimum))
const seed = Schema.Finite.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })
)
const topP = Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1))
const Stop = Schema.String.check(Schema.makeFilter((text) => text !== "" && text.length <= stopMaxChars))
const Stops = Schema.Union([Stop, Schema.Array(Stop).check(Schema.isMaxLength(stopsMax))])
const object = Schema.Record(Schema.String, Schema.Unknown)
const biases = Schema.Record(Schema.String, between(-100, 100)).check(
  Schema.makeFilter((map) => {
    const tokens = Object.keys(map)
    return tokens.length <= biasesMax && tokens.every((token) => /^\d{1,9}$/.test(token))
  })
)
const modalities = Schema.Array(Schema.Literal("text"))

const older = "send `tools` and `tool_choice` instead."
const oneWay = "answers here are text, and nothing else."
const noSearch = "nothing here looks anything up in the web."
const noLogprobs = "the model's probabilities are not kept."

export const chatFields = {
  model: honoured(Schema.String, "the name of a model"),
  messages: honoured(Schema.Array(Schema.Unknown), "a list of messages"),
  stream: honoured(Schema.Boolean, "true or false"),
  stream_options: honoured(object, "an object"),
  max_completion_tokens: honoured(whole(1), "a whole number from 1"),
  max_tokens: honoured(whole(1), "a whole number from 1"),
  temperature: honoured(between(0, 2), "a number from 0 to 2"),
  top_p: honoured(topP, "a number above 0, and at most 1"),
  seed: honoured(seed, "a whole number of at most 53 bits"),
  stop: honoured(Stops, `1 to ${stopMaxChars} characters, or a list of at most ${stopsMax} such strings`),
  n: honoured(Schema.Literal(1), "1: there is one answer to a request"),
  response_format: honoured(object, "an object"),
  tools: honoured(Schema.Array(Schema.Unknown), "a list of tools"),
  tool_choice: honoured(Schema.Union([Schema.String, object]), '"none", "auto", "required" or a function'),
  parallel_tool_calls: honoured(Schema.Boolean, "true or false"),
  presence_penalty: honoured(between(-2, 2), "a number from -2 to 2"),
  frequency_penalty: honoured(between(-2, 2), "a number from -2 to 2"),
  logit_bias: honoured(biases, `at most ${biasesMax} numbers of tokens, each with a number from -100 to 100`),
  top_k: honoured(whole(0), "a whole number from 0"),
  min_p: honoured(between(0, 1), "a number from 0 to 1"),
  repeat_penalty: honoured(between(0.1, 10), "a number from 0.1 to 10"),
  grammar: honoured(Schema.String, "a grammar in llama.cpp's notation"),
  modalities: honoured(modalities, '["text"]'),
  service_tier: honoured(Schema.Literals(["auto", "default", "flex"]), '"auto", "default" or "flex"'),

  user: idle(Schema.String, "a string"),
  safety_identifier: idle(Schema.String, "a string"),
  metadata: idle(Schema.Record(Schema.String, Schema.String), "an object of strings"),
  prompt_cache_key: idle(Schema.String, "a string"),
  prompt_cache_options: idle(object, "an object"),
  prompt_cache_retention: idle(Schema.Literals(["in_memory", "24h"]), '"in_memory" or "24h"'),

  functions: refused(older),
  function_call: refused(older, "none", "auto"),
  logprobs: refused(noLogprobs, false),
  top_logprobs: refused(noLogprobs, 0),
  audio: refused(oneWay),
  prediction: refused("nothing is decoded ahead."),
  reasoning_effort: refused("no model here reasons apart from its answer.", "none"),
  verbosity: refused("ask for it in a message.", "medium"),
  web_search_options: refused(noSearch),
  moderation: refused("no text is judged here."),
  store: refused("nothing of a request is stored.", false)
} as const

export const streamOptionsFields = {
  include_usage: honoured(Schema.Boolean, "true or false"),
  // Padding against an observer of packet lengths; on loopback there is none.
  include_obfuscation: idle(Schema.Boolean, "true or false")
} as const

export const roles = {
  developer: "system",
  system: "system",
  user: "user",
  assistant: "assistant",
  tool: "tool"
} as const

/**
 * As clients send back what they were answered, `refusal` and the empty lists of an answer are known, and `parsed`,
 * which openai-node's helpers add.
 */
export const messageFields = {
  role: honoured(
    Schema.Literals(["developer", "system", "user", "assistant", "tool"]),
    `one of ${Object.keys(roles).join(", ")}`
  ),
  content: honoured(Schema.Union([Schema.String, Schema.Array(Schema.Unknown)]), "a string, or a list of text parts"),
  refusal: honoured(Schema.String, "a string"),
  name: idle(Schema.String, "a string"),
  parsed: idle(Schema.Unknown, "anything"),
  annotations: idle(Schema.Array(Schema.Unknown), "a list"),
  audio: refused(oneWay),
  tool_calls: honoured(Schema.Array(Schema.Unknown), "a list of calls"),
  tool_call_id: honoured(Schema.String, "the id of a call"),
  function_call: refused(older)
} as const

export const partFields = {
  type: honoured(Schema.Literals(["text", "refusal"]), '"text": the model reads text, and nothing else'),
  text: honoured(Schema.String, "a string"),
  refusal: honoured(Schema.String, "a string"),
  prompt_cache_breakpoint: idle(Schema.Unknown, "anything")
} as const
