/** What is true of Parley, from `facts.json` and from the configuration's own schema. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { configJsonSchema } from "../../src/cli/config-schema.ts"
import type { Language } from "./dialogue.ts"

export interface Facts {
  /** The environment variable of a key. */
  readonly environment: Readonly<Record<string, string>>
  readonly scripts: ReadonlyArray<string>
  /** Commands of `parley` that exist, and those that answers deny as long as they do not. */
  readonly commands: { readonly here: ReadonlyArray<string>; readonly awaited: ReadonlyArray<string> }
  readonly routes: ReadonlyArray<string>
  readonly metrics: ReadonlyArray<string>
  /** What a key is, in Chinese; the schema says it in English. */
  readonly keys: Readonly<Record<string, string>>
  readonly answers: Readonly<Record<string, Readonly<Record<Language, string>>>>
}

export const facts = JSON.parse(readFileSync(join(import.meta.dirname, "facts.json"), "utf8")) as Facts

export interface ConfigKey {
  readonly description: string
  /** As it is written in `parley.yaml`; undefined when there is none. */
  readonly preset: string | undefined
}

/** Every key of `parley.yaml`, such as `limits.queueMax`; those of a channel are `channels.attemptsMax` and so on. */
export const configKeys: ReadonlyMap<string, ConfigKey> = new Map(keysOf(configJsonSchema() as Schema, ""))

interface Schema {
  readonly description?: string
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

function keysOf(schema: Schema, prefix: string): ReadonlyArray<readonly [string, ConfigKey]> {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const key = `${prefix}${name}`
    const own = { description: inner.description ?? "", preset: presetOf(inner.default) }
    const within = inner.items?.properties === undefined ? inner : inner.items
    return [[key, own] as const, ...keysOf(within, `${key}.`)]
  })
}

function presetOf(value: unknown): string | undefined {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value)
  return undefined
}

/** Defaults are filled in where the answer names their key in braces. */
export function answerOf(id: string, language: Language): string {
  const answer = facts.answers[id]?.[language]
  if (answer === undefined) throw new Error(`there is no answer ${id}`)
  return answer.replace(/\{([\w.]+)\}/g, (_, key: string) => {
    const preset = configKeys.get(key)?.preset
    if (preset === undefined) throw new Error(`the answer ${id} names ${key}, which has no default`)
    return preset
  })
}

/** The configuration's system prompt is a text of its own and no setting to be read out. */
export const explainedKeys = Object.keys(facts.keys)

export function explain(key: string, language: Language): string {
  const { description, preset } = configKeys.get(key)!
  const shown = key === "systemPrompt" ? undefined : preset
  if (language === "en") return `${key}${shown === undefined ? "" : ` (default ${shown})`}: ${description}`
  return `${key}${shown === undefined ? "" : `\uFF08默认 ${shown}\uFF09`}\uFF1A${facts.keys[key]}。`
}
