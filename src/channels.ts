/** The accounts that the configuration names, each kept open by its supervisor. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Account, makeAccount } from "./actors/account.ts"
import { conversationBehaviour } from "./actors/conversation.ts"
import { supervise } from "./actors/supervisor.ts"
import { type SweeperOptions, sweep } from "./actors/sweeper.ts"
import type { Adapter } from "./adapters/adapter.ts"
import { openWeb } from "./adapters/web/web.ts"
import { openWebhook } from "./adapters/webhook/webhook.ts"
import type { ChannelConfig, Config } from "./cli/config-schema.ts"
import { accountId, conversationId, partsOf } from "./domain/ids.ts"
import type { Traces } from "./domain/trace.ts"
import type { Sampling } from "./inference/engine.ts"
import type { ModelPool } from "./inference/model-pool.ts"
import type { ConversationSettings } from "./machines/conversation.ts"
import type { Intensity } from "./machines/restart-intensity.ts"
import type { Database } from "./store/database.ts"
import { readHistory } from "./store/history.ts"
import type { Journal } from "./store/journal.ts"

export interface ChannelParts {
  readonly config: Config
  readonly database: Database["Service"]
  readonly journal: Journal["Service"]
  /** All that are served, the default first. */
  readonly models: ModelPool["models"]
  /** Those that are open. */
  readonly accounts: Map<string, Account>
  readonly sweeper: SweeperOptions
  readonly pending: () => number
  readonly traces: Traces | undefined
}

/** One account, and how people are answered there. */
export interface Channel {
  readonly id: string
  readonly open: Effect.Effect<Adapter, { readonly reason: string }, Scope.Scope>
  readonly settings: Omit<ConversationSettings, "turnMaxMs">
  /** The default one where it is undefined. */
  readonly model: string | undefined
  readonly sampling: Partial<Sampling> | undefined
  readonly attemptsMax: number
  readonly ageMaxMs: number
}

/** Warm enough not to repeat itself. */
const samplingDefault = { temperature: 0.7 }
/** It was taught one answer to each question. */
const guideSampling = { temperature: 0 }

/** What the configuration says of a model; of the first one where no name is given. */
export function samplingOfModel({ models }: Pick<Config, "models">, name?: string): Partial<Sampling> | undefined {
  if (models.length === 0) return guideSampling
  return (name === undefined ? models[0] : models.find((model) => model.name === name))?.sampling
}

/** The channel's before the model's before ours. */
export function samplingOf(
  config: Pick<Config, "models">,
  { model, sampling }: Pick<Channel, "model" | "sampling">
): Sampling {
  return { ...samplingDefault, ...samplingOfModel(config, model), ...sampling }
}

const accountLimits = { liveMax: 50_000, linesMax: 20_000 }
const deliveryDelays = { delayMinMs: 250, delayMaxMs: 300_000 }
export const partIntensity: Intensity = { restartsMax: 5, withinMs: 60_000, delayMinMs: 500, delayMaxMs: 10_000 }
const webAccount = "chat"
export const webId = accountId("web", webAccount)
const dayMs = 86_400_000

export function channelsOf(parts: ChannelParts): ReadonlyArray<Channel> {
  return [webChannel(parts), ...parts.config.channels.map(webhookChannel)]
}

/**
 * Keeps an account open. Gives what completes when it is open for the first time, and what fails when it cannot be kept
 * open.
 */
export const openChannel = Effect.fn("openChannel")(function* (parts: ChannelParts, channel: Channel) {
  const isOpen = yield* Deferred.make<void>()
  const run = Effect.gen(function* () {
    const account = yield* accountOf(parts, channel)
    parts.accounts.set(account.id, account)
    yield* Effect.addFinalizer(() => Effect.sync(() => parts.accounts.delete(account.id)))
    const isFirst = yield* Deferred.succeed(isOpen, undefined)
    if (!isFirst) yield* Effect.forkScoped(sweep(parts.sweeper))
    yield* account.run
  })
  const kept = supervise([{ name: `account ${channel.id}`, intensity: partIntensity, run }])
  return { isOpen: Deferred.await(isOpen), kept }
})

const accountOf = Effect.fn("accountOf")(function* (parts: ChannelParts, channel: Channel) {
  const { config, journal, models, pending, traces } = parts
  const { scheduler } = modelOf(models, channel.model)
  const { answerTokensMax, mailboxMax, turnMaxMs, ...limits } = config.limits
  const adapter = yield* channel.open
  const options = {
    ...channel.settings,
    turnMaxMs,
    mailboxMax,
    systemPrompt: config.systemPrompt,
    answerTokensMax,
    sampling: samplingOf(config, channel)
  }
  return yield* makeAccount({
    adapter,
    journal,
    behaviourOf: (id) => {
      const { thread } = partsOf(id)
      return conversationBehaviour(id, options, {
        journal,
        scheduler,
        show: (glimpse) => adapter.show?.(thread, glimpse),
        traces
      })
    },
    limits: { ...limits, ...accountLimits },
    delivery: { attemptsMax: channel.attemptsMax, ageMaxMs: channel.ageMaxMs, ...deliveryDelays },
    pending,
    traces
  })
})

/** The configuration names none that there is not. */
function modelOf(models: ChannelParts["models"], name: string | undefined) {
  return models.find((model) => model.name === name) ?? models[0]
}

function webhookChannel(channel: ChannelConfig): Channel {
  const { account, attemptsMax, giveUpAfterMs, model, policy, sampling, settleMs } = channel
  return {
    id: accountId("webhook", account),
    open: openWebhook(channel),
    settings: { policy, settleMs },
    model,
    sampling,
    attemptsMax,
    ageMaxMs: giveUpAfterMs
  }
}

function webChannel({ accounts, config, database, models }: ChannelParts): Channel {
  const { model, ...settings } = config.web
  const { scheduler } = modelOf(models, model)
  const idOf = (thread: string) => conversationId("web", webAccount, thread)
  const open = openWeb({
    account: webAccount,
    history: (thread, since, max) => readHistory(database, idOf(thread), since, max),
    wait: (thread, turn) => scheduler.waitOf(`${idOf(thread)}/${turn}`),
    typing: (thread) => accounts.get(webId)?.conversations.hint(idOf(thread), { type: "user.typing" })
  })
  // The record is what pages read: sending to them cannot fail for long.
  return { id: webId, open, settings, model, sampling: undefined, attemptsMax: 12, ageMaxMs: dayMs }
}
