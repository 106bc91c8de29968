/** Which part of a request a server that speaks OpenAI's protocol finds wrong. */
import type { RequestPart } from "./engine.ts"

const partsOfFields: Readonly<Record<string, RequestPart>> = {
  messages: "messages",
  logit_bias: "logitBias",
  response_format: "shape",
  grammar: "grammar",
  tools: "tools",
  tool_choice: "tools",
  input: "input",
  dimensions: "dimensions"
}

/** What a server finds wrong is a field, or a path into one: `messages[2].content`. */
export function partOf(param: unknown): RequestPart | undefined {
  const field = typeof param === "string" ? /^\w+/.exec(param)?.[0] : undefined
  return field === undefined || !Object.hasOwn(partsOfFields, field) ? undefined : partsOfFields[field]
}
