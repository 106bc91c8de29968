/** Imports point inwards (DESIGN.md, §9): who may import whom, and which packages belong to one room. */
import { dirname, join } from "node:path/posix"
import { type SourceFile, withoutComments } from "./tidy-rules.ts"

const ring = ["machines", "inference", "adapters", "store"]

/** The rooms that files of a room may import besides their own. Tests, benchmarks and models may import anything. */
const inwards: Readonly<Record<string, ReadonlyArray<string>>> = {
  main: ["cli", "http", "actors", ...ring, "domain"],
  cli: ["actors", ...ring, "domain"],
  http: ["actors", ...ring, "domain"],
  actors: [...ring, "domain"],
  machines: ["domain"],
  inference: ["domain"],
  adapters: ["domain"],
  store: ["schema", "domain"],
  domain: [],
  schema: [],
  web: []
}

/** Packages that only these rooms of the server may import. */
const owners: Readonly<Record<string, ReadonlyArray<string>>> = {
  kysely: ["store", "schema"],
  pg: ["store"],
  xstate: ["machines", "actors"],
  "node-llama-cpp": ["inference"]
}

/** Rooms that may import no other packages than these. */
const packagesOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  machines: ["xstate"],
  domain: ["node:crypto"],
  web: ["preact", "mdast", "mdast-util-from-markdown", "mdast-util-gfm", "micromark-extension-gfm"]
}

/** What the page and the server say to each other: the page knows its types and nothing else of the server. */
const frames = "src/adapters/web/frames.ts"

export function importDirection(file: SourceFile): ReadonlyArray<string> {
  const room = roomOf(file.path)
  const allowed = inwards[room]
  // web/build.ts and the configuration of Vite are no part of the page.
  if (allowed === undefined || /^web\/[^/]+$/.test(file.path)) return []
  return importsOf(file.text).flatMap((specifier) => {
    const why = specifier.startsWith(".")
      ? refusedFile(file.path, join(dirname(file.path), specifier), allowed)
      : refusedPackage(file.path, specifier)
    return why === undefined ? [] : [`imports ${specifier}: ${why}`]
  })
}

function importsOf(text: string): ReadonlyArray<string> {
  const found = withoutComments(text).matchAll(/\b(?:from|import)\s*\(?\s*"([^"\n]+)"/g)
  return [...found].map(([, specifier]) => specifier ?? "")
}

/** `src/store/journal.ts` is in `store`, a file right under `src` in `main`, `schema/tables.ts` in `schema`. */
function roomOf(path: string): string {
  const [top = "", second = ""] = path.split("/")
  if (top !== "src") return top
  return second.endsWith(".ts") ? "main" : second
}

function refusedFile(from: string, to: string, allowed: ReadonlyArray<string>): string | undefined {
  const room = roomOf(from)
  if (from === "src/machines/restart-intensity.ts") return "this file imports nothing"
  if (room === "web" && to === frames) return undefined
  if (roomOf(to) !== room) return allowed.includes(roomOf(to)) ? undefined : `${room} may not know ${roomOf(to)}`
  const ports = ["src/adapters/adapter.ts", "src/adapters/registry.ts"]
  if (room === "adapters" && dirname(from) !== dirname(to) && !ports.includes(from) && !ports.includes(to)) {
    return "one platform may not know another"
  }
  const worker = "src/inference/worker"
  if (dirname(to) === worker && dirname(from) !== worker && to !== `${worker}/wire.ts`) {
    return "the worker is another process: only its wire.ts is shared"
  }
  return undefined
}

function refusedPackage(from: string, specifier: string): string | undefined {
  const room = roomOf(from)
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")
  if (from === "src/machines/restart-intensity.ts") return "this file imports nothing"
  if (owners[name] !== undefined && !owners[name].includes(room)) return `belongs to ${owners[name].join(", ")}`
  if (packagesOf[room] !== undefined && !packagesOf[room].includes(name)) {
    return `${room} imports only ${packagesOf[room].join(", ")}`
  }
  return undefined
}
