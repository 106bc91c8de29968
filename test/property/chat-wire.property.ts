/** The reader of chat completion requests: whatever comes is taken whole or refused by name. */
import { Result } from "effect"
import fc from "fast-check"
import { expect, test } from "vitest"
import { storable } from "../../src/domain/inbound.ts"
import { chatFields } from "../../src/http/chat-fields.ts"
import { readChatRequest } from "../../src/http/chat-request.ts"

const read = (value: unknown) => readChatRequest(Buffer.from(JSON.stringify(value)))

const wild = fc.string({ unit: "binary", maxLength: 20 })
const content = fc.oneof(
  wild,
  fc.array(
    wild.map((text) => ({ type: "text", text })),
    { minLength: 1, maxLength: 3 }
  )
)
const message = fc.record({ role: fc.constantFrom("developer", "system", "user", "assistant"), content })
const stop = fc.string({ unit: "binary", minLength: 1, maxLength: 10 })
const valid = fc
  .record(
    {
      model: wild,
      messages: fc.array(message, { minLength: 1, maxLength: 5 }),
      stream: fc.boolean(),
      max_tokens: fc.integer({ min: 1 }),
      max_completion_tokens: fc.integer({ min: 1 }),
      temperature: fc.double({ min: 0, max: 2, noNaN: true }),
      top_p: fc.double({ min: 0.001, max: 1, noNaN: true }),
      seed: fc.maxSafeInteger(),
      stop: fc.oneof(stop, fc.array(stop, { maxLength: 4 })),
      user: wild
    },
    { requiredKeys: ["model", "messages"] }
  )
  .map((request) => (request.stream ? { ...request, stream_options: { include_usage: true } } : request))

type Valid = typeof valid extends fc.Arbitrary<infer A> ? A : never

const textOf = (content: string | ReadonlyArray<{ readonly text: string }>) =>
  storable(typeof content === "string" ? content : content.map(({ text }) => text).join("\n"))

function reference(request: Valid): unknown {
  const { max_completion_tokens = Infinity, max_tokens = Infinity, messages, model, seed, stop = [] } = request
  const answerTokensMax = Math.min(max_completion_tokens, max_tokens)
  return {
    model: model.toWellFormed(),
    isFlex: false,
    messages: messages.map(({ content, role }) => ({
      role: role === "developer" ? "system" : role,
      content: textOf(content)
    })),
    isStream: request.stream ?? false,
    includeUsage: request.stream ?? false,
    answerTokensMax: answerTokensMax === Infinity ? undefined : answerTokensMax,
    sampling: { temperature: request.temperature, topP: request.top_p },
    seed,
    stop: [stop].flat().map(storable),
    shape: undefined,
    toolUse: undefined
  }
}

test("a request of the form is read as it was meant", () =>
  fc.assert(
    fc.property(valid, (request) => {
      const taken = Result.getOrThrow(read(request))
      expect({ ...taken, model: taken.model.toWellFormed() }).toEqual(reference(JSON.parse(JSON.stringify(request))))
    })
  ))

const field = fc.constantFrom(...Object.keys(chatFields))
const mess = fc.oneof(
  fc.jsonValue({ maxDepth: 5 }),
  fc.dictionary(fc.oneof(field, wild), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 8 }),
  fc.tuple(valid, field, fc.jsonValue()).map(([request, name, value]) => ({ ...request, [name]: value }))
)
const body = fc.oneof(
  { weight: 5, arbitrary: mess.map((value) => Buffer.from(JSON.stringify(value))) },
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))
)

test("whatever a body holds, it is taken or refused by name, in OpenAI's form", () =>
  fc.assert(
    fc.property(body, (bytes) => {
      const result = readChatRequest(bytes)
      if (Result.isSuccess(result)) return
      const { code, message, param, status, type } = result.failure
      expect([status, type]).toEqual([400, "invalid_request_error"])
      expect(code).toMatch(/^[a-z_]+$/)
      if (param === null) expect(message).toMatch(/^The body/)
      else expect(message).toContain(`\`${param}\``)
      expect((param ?? "").isWellFormed()).toBe(true)
    }),
    { numRuns: 500 }
  ))

test("a field that nobody knows is refused by its name, wherever it stands", () =>
  fc.assert(
    fc.property(valid, fc.stringMatching(/^[a-z]{1,30}$/), fc.jsonValue(), fc.nat(), (request, suffix, value, at) => {
      const name = `x_${suffix}`
      const fields: ReadonlyArray<readonly [string, unknown]> = Object.entries(request)
      const whole = Object.fromEntries(fields.toSpliced(at % 5, 0, [name, value]))
      expect(read(whole)).toMatchObject({ failure: { param: name, code: "unknown_parameter" } })
      const index = at % request.messages.length
      const messages = request.messages.map((each, i) => (i === index ? { ...each, [name]: value } : each))
      expect(read({ ...request, messages })).toMatchObject({
        failure: { param: `messages[${index}].${name}`, code: "unknown_parameter" }
      })
    })
  ))
