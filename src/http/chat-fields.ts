/**
 * Every field of OpenAI's chat completion request, and what becomes of it here. README.md has the same as a table.
 * https://platform.openai.com/docs/api-reference/chat/create
 */
import * as Schema from "effect/Schema"
import { honoured, idle, refused } from "./request-fields.ts"

export const messagesMax = 1_000
export const stopsMax = 4
export const stopMaxChars = 256

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
const textOnly = Schema.Struct({ type: Schema.Literal("text") })
const modalities = Schema.Array(Schema.Literal("text"))

const later = "tools come with a later version."
const oneWay = "answers here are text, and nothing else."
const noSearch = "nothing here looks anything up in the web."
const noLogprobs = "the model's probabilities are not kept."
const noPenalty = "the sampler has no penalties; leave it out, or send 0."

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
  response_format: honoured(textOnly, '{"type": "text"}: the form of an answer cannot be forced'),
  modalities: honoured(modalities, '["text"]'),
  user: honoured(Schema.String, "a string"),
  safety_identifier: honoured(Schema.String, "a string"),
  service_tier: honoured(Schema.Literals(["auto", "default", "flex"]), '"auto", "default" or "flex"'),

  metadata: idle(Schema.Record(Schema.String, Schema.String), "an object of strings"),
  prompt_cache_key: idle(Schema.String, "a string"),
  prompt_cache_options: idle(object, "an object"),
  prompt_cache_retention: idle(Schema.Literals(["in_memory", "24h"]), '"in_memory" or "24h"'),
  parallel_tool_calls: idle(Schema.Boolean, "true or false"),

  tools: refused(later),
  tool_choice: refused(later, "none", "auto"),
  functions: refused(later),
  function_call: refused(later, "none", "auto"),
  presence_penalty: refused(noPenalty, 0),
  frequency_penalty: refused(noPenalty, 0),
  logit_bias: refused("the sampler takes no biases."),
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

export const roles = { developer: "system", system: "system", user: "user", assistant: "assistant" } as const

/** As clients send back what they were answered, `refusal` and the empty lists of an answer are known. */
export const messageFields = {
  role: honoured(Schema.Literals(["developer", "system", "user", "assistant"]), roleWords()),
  content: honoured(Schema.Union([Schema.String, Schema.Array(Schema.Unknown)]), "a string, or a list of text parts"),
  refusal: honoured(Schema.String, "a string"),
  name: idle(Schema.String, "a string"),
  annotations: idle(Schema.Array(Schema.Unknown), "a list"),
  audio: refused(oneWay),
  tool_calls: refused(later),
  tool_call_id: refused(later),
  function_call: refused(later)
} as const

function roleWords(): string {
  return `one of ${Object.keys(roles).join(", ")} (tools come with a later version)`
}

export const partFields = {
  type: honoured(Schema.Literals(["text", "refusal"]), '"text": the model reads text, and nothing else'),
  text: honoured(Schema.String, "a string"),
  refusal: honoured(Schema.String, "a string"),
  prompt_cache_breakpoint: idle(Schema.Unknown, "anything")
} as const
