/** A configuration setting by setting, with where each value came from. Nothing of it shows a secret. */
import * as Redacted from "effect/Redacted"
import type { SourcedConfig } from "./config.ts"
import type { Path } from "./config-document.ts"
import { nameOf } from "./config-problems.ts"
import { type Column, table } from "./table.ts"

export interface Setting {
  /** `channels[0].secret` */
  readonly key: string
  readonly value: string | number | boolean
  /** `default`, `parley.yaml:4`, `PORT (environment)` */
  readonly from: string
}

const masked = "(set, not shown)"

/** Every value there is, in the order of the schema; lists and maps value by value. */
export function settingsOf({ config, originOf }: SourcedConfig): ReadonlyArray<Setting> {
  return valuesIn(config, []).map(({ path, value }) => ({ key: nameOf(path), value, from: fromText(originOf(path)) }))
}

function valuesIn(
  value: unknown,
  path: Path
): ReadonlyArray<{ readonly path: Path; readonly value: Setting["value"] }> {
  if (Redacted.isRedacted(value)) return [{ path, value: masked }]
  if (typeof value === "number" || typeof value === "boolean") return [{ path, value }]
  if (typeof value === "string") return [{ path, value: withoutQuery(value) }]
  if (typeof value !== "object" || value === null) return []
  if (Array.isArray(value)) {
    return value.length === 0 ? [{ path, value: "[]" }] : value.flatMap((one, index) => valuesIn(one, [...path, index]))
  }
  return Object.entries(value).flatMap(([name, inner]) => valuesIn(inner, [...path, name]))
}

/** A key may be part of an address. */
function withoutQuery(value: string): string {
  return /^https?:/.test(value) ? value.replace(/\?.+$/s, "?…") : value
}

function fromText(origin: ReturnType<SourcedConfig["originOf"]>): string {
  if (origin === undefined) return "default"
  const isOutside = origin.where === "environment" || origin.where === "command line"
  return isOutside ? `${origin.name} (${origin.where})` : origin.where
}

const columns: ReadonlyArray<Column> = [
  { title: "SETTING" },
  { title: "VALUE", clipsTo: 12 },
  { title: "FROM", clipsTo: 8 }
]

export function settingsText(settings: ReadonlyArray<Setting>, width: number): string {
  const rows = settings.map(({ from, key, value }) => [key, String(value), from])
  return table(columns, rows, width).join("\n")
}
