/** What form a client wants the answer in: `response_format`, and `grammar` as llama-server takes it. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Shape } from "../inference/engine.ts"
import { type ApiError, invalid } from "./api-error.ts"
import type { chatFields } from "./chat-fields.ts"
import { honoured, missing, type Read, readFields } from "./request-fields.ts"

const name = Schema.String.check(Schema.isPattern(/^[a-zA-Z0-9_-]{1,64}$/))
export const nameWords = "1 to 64 of letters, digits, _ and -"

const formatFields = {
  type: honoured(Schema.Literals(["text", "json_object", "json_schema"]), '"text", "json_object" or "json_schema"'),
  json_schema: honoured(Schema.Record(Schema.String, Schema.Unknown), "an object")
} as const

const schemaFields = {
  name: honoured(name, nameWords),
  description: honoured(Schema.String, "a string"),
  schema: honoured(Schema.Record(Schema.String, Schema.Unknown), "a JSON Schema"),
  // For other servers: here an answer is held to its schema in any case.
  strict: honoured(Schema.Boolean, "true or false")
} as const

export function readShape({
  grammar,
  response_format
}: Read<typeof chatFields>): Result.Result<Shape | undefined, ApiError> {
  const format = response_format === undefined ? Result.succeed(undefined) : readFormat(response_format)
  if (grammar === undefined || Result.isFailure(format)) return format
  if (format.success === undefined) return Result.succeed({ type: "grammar", grammar })
  return Result.fail(invalid("invalid_value", "grammar", "`grammar` and `response_format` do not go together."))
}

const path = "response_format"

function readFormat(value: unknown): Result.Result<Shape | undefined, ApiError> {
  const read = readFields(formatFields, value, path)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { json_schema, type } = read.success
  if (type === undefined) return Result.fail(missing(`${path}.type`, formatFields.type.expected))
  if (type === "json_schema") return readSchema(json_schema)
  if (json_schema !== undefined) {
    const message = `\`${path}.json_schema\` is only for the type "json_schema".`
    return Result.fail(invalid("invalid_value", `${path}.json_schema`, message))
  }
  return Result.succeed(type === "text" ? undefined : { type: "json-object" })
}

function readSchema(value: unknown): Result.Result<Shape, ApiError> {
  const at = `${path}.json_schema`
  if (value === undefined) return Result.fail(missing(at, formatFields.json_schema.expected))
  const read = readFields(schemaFields, value, at)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { description, name, schema, strict } = read.success
  if (name === undefined) return Result.fail(missing(`${at}.name`, nameWords))
  if (schema === undefined) return Result.fail(missing(`${at}.schema`, schemaFields.schema.expected))
  return Result.succeed({
    type: "json-schema",
    name,
    schema,
    ...(description !== undefined && { description }),
    ...(strict !== undefined && { strict })
  })
}
