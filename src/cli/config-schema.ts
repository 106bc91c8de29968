/** What `parley.yaml` can say: every key with its default, its bounds and the sentence that editors show. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { bytesOf, durationMsOf } from "../domain/amounts.ts"

const dayMs = 86_400_000
const mebibyte = 1024 * 1024
/** Standard Webhooks: "between 24 bytes (192 bits) and 64 bytes (512 bits)". */
const webhookSecretBytes = { min: 24, max: 64 }

/**
 * `expected` ends the sentence "expected …" of a problem. What a text must look like stays out of the JSON Schema:
 * an editor sees `${NAME}` before the environment fills it in.
 */
const text = (expected: string, fits: (value: string) => boolean) =>
  Schema.String.check(Schema.makeFilter(fits, { expected, toJsonSchema: () => [{}, true] }))

const secret = (expected: string, fits: (value: string) => boolean, description: string) =>
  Schema.RedactedFromValue(text(expected, fits).annotate({ description }))

const whole = (minimum: number, maximum: number) => {
  const expected = `a whole number from ${minimum} to ${maximum}`
  return Schema.Finite.check(Schema.isInt({ expected }), Schema.isBetween({ minimum, maximum }, { expected })).annotate(
    { expected }
  )
}

const oneOf = <const Values extends ReadonlyArray<string | false>>(values: Values) =>
  Schema.Literals(values).annotate({ expected: values.map((value) => `\`${value}\``).join(" or ") })

const bool = Schema.Boolean.annotate({ expected: "`true` or `false`" })
const path = text("a path", (value) => value !== "" && !value.includes("\0"))
const slug = text("1 to 64 of a-z, 0-9, `_` and `-`", (value) => /^[a-z0-9_-]{1,64}$/.test(value))
const key = (description: string) => secret("text without spaces", (value) => /^[\x21-\x7e]+$/.test(value), description)

const isAddress = (value: string, protocols: ReadonlyArray<string>) =>
  URL.canParse(value) && protocols.includes(new URL(value).protocol) && new URL(value).hostname !== ""

const isSite = (value: string) => /^https?:\/\/[a-z0-9._:[\]-]{1,261}$/i.test(value) && URL.canParse(value)
const hostName = text("a host name, with or without a port", (value) => isSite(`http://${value}`))
const origin = text("an origin such as https://chat.example.org, without a path", isSite)

/** `fetch` refuses an address with a password in it, and the log would show it. */
const webAddress = text(
  "an http(s) address without a user name in it",
  (value) => isAddress(value, ["http:", "https:"]) && `${new URL(value).username}${new URL(value).password}` === ""
)

const webhookSecret = secret(
  `\`whsec_\` and the base64 of ${webhookSecretBytes.min} to ${webhookSecretBytes.max} bytes ` +
    '(this makes one: echo "whsec_$(openssl rand -base64 32)")',
  (value) => {
    const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1] ?? ""
    const bytes = Buffer.from(base64, "base64").length
    return bytes >= webhookSecretBytes.min && bytes <= webhookSecretBytes.max
  },
  "The shared secret of Standard Webhooks, for both directions: best as $" + "{NAME}, from the environment."
)

/** A key that may be left out. */
const setting = <S extends Schema.Top>(schema: S, value: S["Encoded"], description: string) =>
  // An annotated schema has the type that it had; `Rebuild` cannot say so of a type parameter.
  (schema.annotate({ description, default: value }) as S).pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)))

const Limits = Schema.Struct({
  inboxMax: setting(whole(1, 10_000_000), 100_000, "Events that wait to be answered, over all conversations."),
  conversationInboxMax: setting(whole(1, 10_000), 64, "Events that wait to be answered in one conversation."),
  bodyMaxBytes: setting(whole(1024, 64 * mebibyte), mebibyte, "Longest body of an HTTP request."),
  queueMax: setting(whole(1, 100_000), 1000, "Turns that wait for a slot of the model."),
  queueTokensMax: setting(
    whole(1000, 1_000_000_000),
    2_000_000,
    "Tokens of the turns that wait, prompts and answers as long as they may be."
  ),
  answerTokensMax: setting(whole(1, 1_000_000), 512, "Longest answer, in tokens."),
  turnMaxMs: setting(whole(1000, dayMs), 300_000, "Longest time from the start of a turn to its end."),
  idleMs: setting(whole(1000, dayMs), 300_000, "A conversation that is idle for so long leaves memory."),
  mailboxMax: setting(whole(1, 10_000), 64, "Events in the mailbox of one live conversation."),
  modelsMemory: Schema.optionalKey(
    text("a size such as `8GiB` or `900MiB`", (value) => (bytesOf(value) ?? 0) > 0).annotate({
      description: "Memory that all loaded models may take together; nine tenths of the machine's where it is left out."
    })
  )
}).annotate({ expected: "a map of limits" })

const Retention = Schema.Struct({
  dedupDays: setting(whole(30, 3650), 30, "A platform that repeats an event within these days is not answered twice.")
}).annotate({ expected: "a map" })

const Logs = Schema.Struct({
  dir: Schema.optionalKey(
    path.annotate({ description: "A folder for log files, one a day; they go to stdout as well." })
  )
}).annotate({ expected: "a map" })

const policy = setting(
  oneOf(["collect", "interrupt"]),
  "collect",
  "What a message does that arrives during an answer: it waits for the next turn, or ends this one."
)
const settleMs = setting(whole(0, 60_000), 0, "Messages that come within this time of each other become one turn.")

const number = (minimum: number, maximum: number, description: string) => {
  const expected = `a number from ${minimum} to ${maximum}`
  return Schema.optionalKey(
    Schema.Finite.check(Schema.isBetween({ minimum, maximum }, { expected })).annotate({ expected, description })
  )
}

const Sampling = Schema.Struct({
  temperature: number(0, 2, "0 always takes the likeliest token. 0.7 in channels and 1 in /v1, unless it is set."),
  topK: Schema.optionalKey(
    whole(0, 1_000_000).annotate({ description: "So many of the likeliest tokens are chosen from; 0 is all." })
  ),
  topP: number(0, 1, "The likeliest tokens are chosen from that have this probability together."),
  minP: number(0, 1, "Tokens are chosen from that have this part of the likeliest one's probability."),
  repeatPenalty: number(0.1, 10, "Divides the logit of what the answer has already; 1 changes nothing."),
  frequencyPenalty: number(-2, 2, "Taken from the logit of a token as often as the answer has it."),
  presencePenalty: number(-2, 2, "Taken from the logit of each token that the answer has.")
}).annotate({ expected: "a map of how tokens are chosen" })

const sampling = (description: string) => Schema.optionalKey(Sampling.annotate({ description }))
const channelSampling = sampling("How tokens are chosen in answers here, where it differs from the model's.")
const modelSampling = sampling("How tokens are chosen where neither a channel nor a request of /v1 says so.")

const channelModel = Schema.optionalKey(
  slug.annotate({ description: "The model that answers here, by its name; the first one where it is left out." })
)

const Web = Schema.Struct({ policy, settleMs, model: channelModel }).annotate({ expected: "a map" })

const Webhook = Schema.Struct({
  kind: oneOf(["webhook"]).annotate({ description: "The platform of this channel." }),
  account: slug.annotate({ description: "Its name here, and the end of its address /api/webhook/{account}." }),
  secret: webhookSecret,
  callback: webAddress.annotate({ description: "Where the answers are sent, by POST." }),
  policy,
  settleMs,
  model: channelModel,
  sampling: channelSampling,
  attemptsMax: setting(whole(1, 100), 12, "Sends of one answer before it becomes a dead letter."),
  giveUpAfterMs: setting(
    whole(1000, 30 * dayMs),
    dayMs,
    "The age at which an undelivered answer becomes a dead letter."
  )
}).annotate({ expected: "a map that describes a channel" })

/** More are a matter for a load balancer. */
const serversMax = 64
const addresses = `a list of 1 to ${serversMax} addresses`

const modelName = setting(slug, "default", "Its name in /v1/models.")
const keepAliveWords = "a time such as `10m` or `90s`, `0`, or `always`"
const keepAlive = Schema.Union([
  text(keepAliveWords, (value) => durationMsOf(value) !== undefined),
  Schema.Literal(0)
]).annotate({
  expected: keepAliveWords,
  description:
    "How long it stays in memory after its last request: `always` for the first model, `10m` for the others. " +
    "Whatever it says, an idle model makes room for one that is asked."
})

const LlamaModel = Schema.Struct({
  name: modelName,
  engine: Schema.Literal("llama").annotate({ description: "A GGUF file, run on this machine." }),
  file: path.annotate({ description: "The GGUF file. A relative path starts at the working directory." }),
  slots: setting(whole(1, 256), 4, "Turns that are decoded together."),
  contextTokens: setting(whole(128, 1_048_576), 2048, "Tokens of prompt and answer together, in each slot."),
  cacheMb: Schema.optionalKey(
    whole(0, 1_048_576).annotate({
      description:
        "Memory, in MiB, for what was computed for past answers: a conversation that goes on is not read again from " +
        "its beginning. Left out, a quarter of what is free when the model is loaded, and at most 8192; 0 keeps only " +
        "what free slots have."
    })
  ),
  gpu: Schema.optionalKey(
    oneOf(["auto", "cuda", "vulkan", "metal", false]).annotate({
      description: "The graphics interface to compute with."
    })
  ),
  threads: Schema.optionalKey(
    whole(1, 1024).annotate({
      description: "Threads that decode, at most one for each core. When left out, they are measured."
    })
  ),
  keepAlive: Schema.optionalKey(keepAlive),
  sampling: modelSampling
})

const OpenAiModel = Schema.Struct({
  name: modelName,
  engine: Schema.Literal("openai").annotate({ description: "A server that speaks OpenAI's protocol." }),
  baseUrl: Schema.optionalKey(webAddress.annotate({ description: "Its address, including /v1." })),
  baseUrls: Schema.optionalKey(
    Schema.Array(webAddress)
      .check(Schema.isMinLength(1, { expected: addresses }), Schema.isMaxLength(serversMax, { expected: addresses }))
      .annotate({
        expected: addresses,
        description: "Instead of baseUrl: the addresses of several servers with the same model and key."
      })
  ),
  apiKey: Schema.optionalKey(key("Its API key: best as $" + "{NAME}, from the environment.")),
  model: Schema.optionalKey(
    text("a name", (value) => value !== "").annotate({ description: "The name of the model at that server." })
  ),
  slots: setting(whole(1, 10_000), 16, "Turns that a server is given at the same time, at most."),
  sampling: modelSampling,
  cacheTokens: Schema.optionalKey(
    whole(1000, 1_000_000_000).annotate({
      description: "Tokens that a server's cache holds: turns wait that would have it throw others out."
    })
  )
})

const Model = Schema.Union([LlamaModel, OpenAiModel]).annotate({
  expected: "a map with `engine: llama` or `engine: openai`"
})

const systemPrompt =
  "You are a helpful assistant. Answer briefly and honestly, in the language of the person who writes to you. " +
  "Say so when you do not know."

export const ConfigFile = Schema.Struct({
  host: setting(
    text("a host name or an IP address", (value) => /^[A-Za-z0-9.:_-]{1,253}$/.test(value)),
    "127.0.0.1",
    "The address to listen on (HOST). Any other than loopback needs a token."
  ),
  port: setting(whole(0, 65_535), 8080, "The port to listen on (PORT); 0 takes a free one."),
  databaseUrl: Schema.optionalKey(
    secret(
      "an address such as postgres://user:password@host:5432/name",
      (value) => isAddress(value, ["postgres:", "postgresql:"]),
      "A PostgreSQL of yours (DATABASE_URL). When left out, Parley runs one in the data directory."
    )
  ),
  dataDir: setting(
    path,
    ".parley",
    "Where everything is kept (PARLEY_DATA). A relative path starts at the working directory."
  ),
  token: Schema.optionalKey(key("The bearer token of /v1, /metrics and the operator's routes (PARLEY_TOKEN).")),
  allowedHosts: setting(
    Schema.Array(hostName).annotate({ expected: "a list of host names" }),
    [],
    "Names that this server is reached by, besides `localhost`, `host` and IP addresses."
  ),
  allowedOrigins: setting(
    Schema.Array(origin).annotate({ expected: "a list of origins" }),
    [],
    "Origins of pages that may use this server, besides its own."
  ),
  otlpEndpoint: Schema.optionalKey(
    webAddress.annotate({
      description: "An OTLP receiver of traces, without /v1/traces (OTEL_EXPORTER_OTLP_ENDPOINT). It gets no texts."
    })
  ),
  debug: setting(bool, false, "Write debug lines and the texts of messages to the log (AI_DEBUG)."),
  durability: setting(
    oneOf(["strict", "relaxed"]),
    "strict",
    "Whether a database that may lose what it said is stored is refused."
  ),
  drainMs: setting(whole(0, 600_000), 8000, "Longest wait for running turns when the server is stopped."),
  limits: setting(Limits, {}, "What is bounded, and how far."),
  retention: setting(Retention, {}, "How long things are kept."),
  logs: setting(Logs, {}, "Where logs go besides stdout."),
  systemPrompt: setting(
    text("text", () => true),
    systemPrompt,
    "What the model is told before every conversation."
  ),
  web: setting(Web, {}, "How people are answered in the web chat."),
  channels: setting(
    Schema.Array(Webhook).annotate({ expected: "a list of channels" }),
    [],
    "Where people write from, besides the web chat."
  ),
  models: setting(
    Schema.Array(Model).annotate({ expected: "a list of models" }),
    [],
    "The models (PARLEY_MODEL replaces them). The first one is the default; none is the built-in one."
  )
}).annotate({ expected: "a map of settings" })

/** Everything an operator can set, checked and with its defaults. Plain data; what is secret is `Redacted`. */
export interface Config extends Schema.Schema.Type<typeof ConfigFile> {}
export type ChannelConfig = Config["channels"][number]
export type ModelConfig = Config["models"][number]

/** The JSON Schema of `parley.yaml`, for editors: kept in `docs/parley.schema.json`. */
export function configJsonSchema(): unknown {
  const { schema } = Schema.toJsonSchemaDocument(ConfigFile, { onExcessProperty: "error" })
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title: "parley.yaml", ...schema }
}
