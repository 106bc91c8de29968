/** The flags that say where the configuration is, and replace something in it. */
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"

const flag = (name: string, hint: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(hint), Flag.withDescription(description), Flag.optional)

export const configFlags = {
  config: flag(
    "config",
    "FILE",
    "The configuration file. Without it: PARLEY_CONFIG, else parley.yaml, if there is one."
  ),
  port: flag("port", "N", "The port to listen on. Without it: PORT, the file, 8080."),
  host: flag("host", "H", "The address to listen on. Without it: HOST, the file, 127.0.0.1."),
  data: flag("data", "DIR", "Where everything is kept. Without it: PARLEY_DATA, the file, .parley.")
}

/** Only the flags that were given. */
export function written<K extends string>(
  flags: Readonly<Record<K, Option.Option<string>>>
): Partial<Record<K, string>> {
  const given = Object.entries<Option.Option<string>>(flags).flatMap(([name, value]) =>
    Option.isSome(value) ? [[name, value.value]] : []
  )
  return Object.fromEntries(given)
}
