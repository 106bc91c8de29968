/** The model of other servers: whether they answer, take our key, and have the model. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { baseUrlsOf, type OpenaiSpec } from "../../inference/models.ts"
import { type Answer, ask, inWords } from "../web-ask.ts"
import { type Finding, type Findings, ok } from "./finding.ts"

const Models = Schema.fromJsonString(Schema.Struct({ data: Schema.Array(Schema.Struct({ id: Schema.String })) }))
const namesShownMax = 5

/** With several servers Parley answers as long as one of them does. */
export const checkModelServers = Effect.fn("checkModelServers")(function* (
  spec: OpenaiSpec
): Effect.fn.Return<Findings> {
  const findings = yield* Effect.forEach(baseUrlsOf(spec), (url) => checkOne(spec, url), { concurrency: "unbounded" })
  if (findings.every(({ level }) => level !== "ok")) return findings
  return findings.map((finding) => (finding.level === "ok" ? finding : { ...finding, level: "warning" }))
})

const checkOne = Effect.fnUntraced(function* (spec: OpenaiSpec, baseUrl: string): Effect.fn.Return<Finding> {
  const headers = spec.apiKey && { authorization: `Bearer ${Redacted.value(spec.apiKey)}` }
  const answer = yield* Effect.result(ask(`${baseUrl.replace(/\/$/, "")}/models`, { ...(headers && { headers }) }))
  const server: AtServer = { ...spec, baseUrl }
  if (answer._tag === "Failure") return trouble("unreachable", server, inWords(answer.failure.code), mends.start)
  return judged(server, answer.success)
})

interface AtServer extends OpenaiSpec {
  readonly baseUrl: string
}

const mends = {
  start: "Start that server, or mend its address (baseUrl, PARLEY_MODEL): it looks like http://127.0.0.1:8000/v1",
  key: "Give the model its apiKey in parley.yaml, from the environment: apiKey: $" + "{MODEL_KEY}",
  address: "Mend baseUrl: it should end as that server's documentation says, usually in /v1."
}

function judged(spec: AtServer, { status, text }: Answer): Finding {
  if (status === 401 || status === 403) return trouble("key", spec, `it refuses our key (${status})`, mends.key)
  if (status >= 500) return trouble("failing", spec, `it answers ${status}`, "See the log of that server.")
  if (status !== 200) return trouble("address", spec, `it has no /models there (${status})`, mends.address)
  const listed = Schema.decodeUnknownOption(Models)(text)
  if (Option.isNone(listed)) return trouble("address", spec, "its /models is not OpenAI's", mends.address)
  const names = listed.value.data.map(({ id }) => id)
  if (spec.model !== undefined && !names.includes(spec.model)) {
    const shown = names.slice(0, namesShownMax).join(", ") || "none"
    return trouble("unknown", spec, `it has no model ${spec.model}`, `Set model to one of its names: ${shown}.`)
  }
  return ok(
    "model.server",
    `${spec.name} is ${spec.model ?? names[0] ?? "the model"} at ${spec.baseUrl}, which answers.`
  )
}

const trouble = (id: string, { baseUrl, name }: AtServer, what: string, mend: string): Finding => ({
  id: `model.server-${id}`,
  level: "trouble",
  saw: `${name} at ${baseUrl}: ${what}.`,
  mend
})
