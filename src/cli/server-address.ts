/** Where the server of a configuration is reached from this machine, and what opens it. */
import * as Redacted from "effect/Redacted"
import type { Config } from "./config-schema.ts"

/** One that listens on every address is near as well. */
export function addressOf({ host, port }: Pick<Config, "host" | "port">): string {
  const near: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" }
  const name = near[host] ?? host
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`
}

/** The header that its token asks for. */
export function bearerOf({ token }: Pick<Config, "token">): Readonly<Record<string, string>> {
  return token === undefined ? {} : { authorization: `Bearer ${Redacted.value(token)}` }
}
