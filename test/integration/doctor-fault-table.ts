/** Faults that an operator makes or meets, and what doctor says of each. Those of a database are in its tests. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { answering, channel, type examine, healthyModel, passableDir } from "./doctor-bench.ts"
import {
  callbackOff,
  cutOffModel,
  keyedServer,
  longModel,
  modelFile,
  noMount,
  noStrace,
  openDirectory,
  plainFile,
  selfSignedCallback,
  slowDisk,
  smallDisk,
  strangeModel,
  strangerPort
} from "./doctor-plants.ts"
import { emptyDir } from "./main-process.ts"

type Planted = Omit<Parameters<typeof examine>[0], "typed">

export interface Fault {
  readonly name: string
  readonly plant: () => Promise<Planted>
  readonly id: string
  /** What its finding says, among other things. */
  readonly words: ReadonlyArray<string>
  /** Other findings may stand beside it: how fast a model is depends on the machine. */
  readonly isAmongOthers?: boolean
  /** Why it cannot be planted here. */
  readonly impossible?: () => string | undefined
}

const hourMs = 3_600_000
const env = (more: Record<string, string>) => async () => ({ env: { ...(await healthyModel()), ...more } })
const yaml = (text: string | (() => Promise<string>)) => async () => ({
  env: await healthyModel(),
  yaml: typeof text === "string" ? text : await text()
})
const calls = (callback: () => Promise<string>) => yaml(async () => channel(`${await callback()}/replies`))
const model = (file: () => Promise<string>) => async () => ({ env: { PARLEY_MODEL: await file() } })
const openai = (more: string) => async () => ({
  yaml: `models:\n  - {engine: openai, baseUrl: "${await keyedServer()}/v1", ${more}}\n`
})
const llama = (file: () => Promise<string>, more: string) => async () => ({
  yaml: `models:\n  - {engine: llama, file: ${await file()}, ${more}}\n`
})

export const faults: ReadonlyArray<Fault> = [
  {
    name: "an unknown key",
    plant: yaml("limits:\n  inboxMx: 3\n"),
    id: "config.wrong",
    words: ["inboxMx", "did you mean `inboxMax`?", "parley.yaml:2", "docs/parley.schema.json"]
  },
  {
    name: "a secret that is none",
    plant: async () => ({
      env: { ...(await healthyModel()), DEMO_SECRET: "hunter2" },
      yaml: channel("http://127.0.0.1:9/x")
    }),
    id: "config.wrong",
    words: ["whsec_", "openssl rand"]
  },
  {
    name: "a variable that is not set",
    plant: yaml("token: $" + "{NOT_SET}\n"),
    id: "config.wrong",
    words: ["NOT_SET", "parley.yaml:1"]
  },
  {
    name: "an address for others without a token",
    plant: env({ HOST: "0.0.0.0" }),
    id: "config.wrong",
    words: ["no token", "export PARLEY_TOKEN="]
  },
  {
    name: "a short token",
    plant: env({ HOST: "0.0.0.0", PARLEY_TOKEN: "hunter2" }),
    id: "token.short",
    words: ["openssl rand"]
  },
  {
    name: "a port that another program has",
    plant: async () => env({ PORT: String(await strangerPort()) })(),
    id: "port.taken",
    words: ["no Parley", "sport = :"]
  },
  {
    name: "an address that this machine does not have",
    plant: env({ HOST: "192.0.2.1", PARLEY_TOKEN: "x".repeat(20) }),
    id: "port.no-address",
    words: ["HOST=127.0.0.1"]
  },
  {
    name: "a data directory that cannot be written",
    plant: env({ PARLEY_DATA: "/proc/parley" }),
    id: "data.unwritable",
    words: ["/proc/parley", "PARLEY_DATA"]
  },
  {
    name: "a data directory that others read",
    plant: async () => env({ PARLEY_DATA: openDirectory() })(),
    id: "data.open",
    words: ["mode 755", "chmod go-rw"]
  },
  {
    name: "a log folder that is a file",
    plant: async () => yaml(`logs:\n  dir: ${plainFile()}\n`)(),
    id: "logs.unwritable",
    words: ["logs.dir"]
  },
  {
    name: "a disk that is nearly full",
    plant: async () => env({ PARLEY_DATA: smallDisk(64, 16) })(),
    id: "disk.full",
    words: ["48.0 MiB are free", "503", "Make room"],
    impossible: noMount
  },
  {
    name: "a disk that is full",
    plant: async () => env({ PARLEY_DATA: smallDisk(1, 2) })(),
    id: "data.unwritable",
    words: ["the disk is full", "make room"],
    impossible: noMount
  },
  {
    name: "a slow disk",
    plant: async () => ({ env: await healthyModel(), through: slowDisk(80) }),
    id: "disk.slow",
    words: ["A flush to this disk takes", "faster disk"],
    impossible: noStrace
  },
  {
    name: "a callback that refuses",
    plant: yaml(channel("http://127.0.0.1:9/replies")),
    id: "callback.unreachable",
    words: ["demo", "127.0.0.1:9", "nothing listens there", "dead letters"]
  },
  {
    name: "a callback that does not speak TLS",
    plant: calls(async () => (await answering((_, response) => response.end())).replace("http:", "https:")),
    id: "callback.unreachable",
    words: ["does not speak TLS"]
  },
  {
    name: "a callback with a certificate of its own making",
    plant: calls(selfSignedCallback),
    id: "callback.certificate",
    words: ["signed by itself", "NODE_EXTRA_CA_CERTS"]
  },
  {
    name: "a clock that is an hour behind",
    plant: calls(() => callbackOff(hourMs)),
    id: "clock.skew",
    words: ["behind", "timedatectl", "401"]
  },
  {
    name: "a clock that is an hour ahead",
    plant: calls(() => callbackOff(-hourMs)),
    id: "clock.skew",
    words: ["ahead of", "timedatectl", "401"]
  },
  {
    name: "a model's file that is not there",
    plant: model(async () => join(emptyDir(), "missing.gguf")),
    id: "model.missing",
    words: ["missing.gguf", "PARLEY_MODEL=<file>"]
  },
  {
    name: "a model's file that is no GGUF",
    plant: model(() => modelFile((bytes) => bytes.write("<htm"))),
    id: "model.unreadable",
    words: ['"<htm"', "GGUF"]
  },
  {
    name: "a model's file that is cut off",
    plant: model(cutOffModel),
    id: "model.cut-off",
    words: ["684 KiB of 1.28 MiB", "again"]
  },
  {
    name: "an architecture that llama.cpp does not know",
    plant: model(strangeModel),
    id: "model.refused",
    words: ["unknown model architecture: 'flame'", "Put a whole GGUF file"]
  },
  {
    name: "a model that needs more memory than there is",
    plant: llama(longModel, "slots: 256, contextTokens: 1048576"),
    id: "model.memory-short",
    words: ["384 GiB", "slots or contextTokens"]
  },
  {
    name: "more threads than cores",
    plant: llama(() => modelFile(), "threads: 1024"),
    id: "model.threads-many",
    words: ["threads is 1024", "Take `threads` out"],
    isAmongOthers: true
  },
  {
    name: "a model server that is not there",
    plant: async () => ({ env: { PARLEY_MODEL: "http://127.0.0.1:9/v1" } }),
    id: "model.server-unreachable",
    words: ["nothing listens there", "Start that server"]
  },
  {
    name: "a model server that refuses the key",
    plant: openai("apiKey: hunter2"),
    id: "model.server-key",
    words: ["401", "apiKey"]
  },
  {
    name: "a model server that lacks the model",
    plant: openai("apiKey: right, model: huge"),
    id: "model.server-unknown",
    words: ["no model huge", "small, large"]
  },
  {
    name: "a model server that is a web page",
    plant: async () => ({ env: { PARLEY_MODEL: await answering((_, response) => response.end("<html>")) } }),
    id: "model.server-address",
    words: ["baseUrl", "/v1"]
  },
  {
    name: "a cluster of another major version",
    plant: async () => {
      const dir = passableDir()
      const cluster = join(dir, ".parley/postgres/data")
      mkdirSync(cluster, { recursive: true, mode: 0o711 })
      writeFileSync(join(cluster, "PG_VERSION"), "13\n")
      writeFileSync(join(dir, ".parley/postgres/password"), "hunter2\n")
      return { dir, env: await healthyModel() }
    },
    id: "database.start",
    words: ["is of PostgreSQL 13", "pg_dump"]
  }
]
