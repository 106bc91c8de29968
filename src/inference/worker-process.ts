/** The model worker as a child process: started, spoken to, and gone with its scope. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { FromWorker, ToWorker, WorkerOptions } from "./worker/wire.ts"

export interface WorkerProcess {
  readonly pid: number | undefined
  readonly send: (message: ToWorker) => void
  readonly kill: Effect.Effect<void>
  /** Succeeds, with how, when the process has ended. */
  readonly ended: Effect.Effect<string>
}

/** What its owner may tell others of the workers that come and go. */
export type WorkerEvent = { readonly type: "ready" } | { readonly type: "died"; readonly how: string }

/** How long it may take over its end before it is killed. */
const stopMaxMs = 2_000
const outputMaxCharacters = 2_000
const program = fileURLToPath(new URL("./worker/main.ts", import.meta.url))

/**
 * `hear` is called with each message as it comes. A worker that says what is no message, or that makes it throw, is
 * ended.
 */
export function startWorker(
  options: WorkerOptions,
  hear: (message: FromWorker) => void
): Effect.Effect<WorkerProcess, never, Scope.Scope> {
  return Effect.acquireRelease(
    Effect.sync(() => start(options, hear)),
    ({ child, ended }) =>
      Effect.sync(() => child.kill("SIGTERM")).pipe(
        Effect.andThen(Effect.timeoutOption(ended, stopMaxMs)),
        Effect.andThen(Effect.sync(() => killAll(child))),
        Effect.andThen(ended)
      )
  )
}

function start(options: WorkerOptions, hear: (message: FromWorker) => void) {
  const child = fork(program, [JSON.stringify(options)], {
    // A group of its own: Ctrl-C in a terminal reaches only the server, which then stops it in order.
    detached: true,
    execArgv: [],
    stdio: ["ignore", "pipe", "pipe", "ipc"]
  })
  const lastWords = lastWordsOf(child)
  let how: string | undefined
  const listeners = new Set<(how: string) => void>()
  const end = (reason: string) => {
    how ??= [reason, lastWords()].filter((text) => text !== "").join(": ")
    for (const listener of listeners) listener(how)
  }
  child.on("message", (message) => {
    if (how !== undefined) return
    const heard = Result.try(() => hear(decode(message)))
    if (Result.isSuccess(heard)) return
    end(`the worker said what no worker says: ${heard.failure}`)
    killAll(child)
  })
  child.on("exit", () => killAll(child))
  // "close" comes after "exit", when its output is read to the end.
  child.on("close", (code, signal) =>
    end(signal === null ? `the worker ended with code ${code}` : `the worker was ended by ${signal}`)
  )
  child.on("error", (error) => child.pid === undefined && end(`the worker did not start: ${error.message}`))
  return {
    child,
    pid: child.pid,
    send: (message: ToWorker) => void (child.connected && child.send(message, () => {})),
    kill: Effect.sync(() => killAll(child)),
    ended: Effect.callback<string>((resume) => {
      if (how !== undefined) return resume(Effect.succeed(how))
      const listener = (how: string) => resume(Effect.succeed(how))
      listeners.add(listener)
      return Effect.sync(() => listeners.delete(listener))
    })
  }
}

/** Its process group: at its start node-llama-cpp tries its binary in a process of its own. */
function killAll({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  } catch {
    // None of them is left.
  }
}

/** The end of what it wrote to both outputs. */
function lastWordsOf(child: ChildProcess): () => string {
  let words = ""
  for (const output of [child.stdout, child.stderr]) {
    output?.setEncoding("utf8")
    output?.on("data", (more: string) => {
      words = (words + more).slice(-outputMaxCharacters)
    })
  }
  return () => words.trim().replace(/\s*\n\s*/g, " | ")
}

const Usage = Schema.Struct({
  promptTokens: Schema.Number,
  cachedTokens: Schema.Number,
  answerTokens: Schema.Number
})
const Room = Schema.Struct({
  usedTokens: Schema.Number,
  reservedTokens: Schema.Number,
  heldTokens: Schema.Number,
  copies: Schema.Number,
  copyBytes: Schema.Number
})
const Message: Schema.Codec<FromWorker> = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("decoded"),
    tokens: Schema.Number,
    promptTokens: Schema.Number,
    tookMs: Schema.Number,
    room: Room,
    texts: Schema.Array(Schema.Tuple([Schema.Number, Schema.String])),
    ends: Schema.Array(Schema.Tuple([Schema.Number, Schema.Literals(["stop", "length"]), Usage]))
  }),
  Schema.Struct({
    type: Schema.Literal("embedded"),
    key: Schema.Number,
    vector: Schema.optional(Schema.Tuple([Schema.Number, Schema.String])),
    promptTokens: Schema.optional(Schema.Number)
  }),
  Schema.Struct({ type: Schema.Literal("idle"), room: Room }),
  Schema.Struct({ type: Schema.Literal("loading") }),
  Schema.Struct({ type: Schema.Literal("ready"), tokenMs: Schema.Number }),
  Schema.Struct({
    type: Schema.Literal("threads"),
    choices: Schema.Array(
      Schema.Struct({
        kind: Schema.Literals(["decode", "prefill"]),
        tokens: Schema.Number,
        threads: Schema.Number
      })
    )
  }),
  Schema.Struct({
    type: Schema.Literal("begun"),
    key: Schema.Number,
    promptTokens: Schema.Number,
    cachedTokens: Schema.Number,
    found: Schema.Literals(["sequence", "copy", "nowhere"])
  }),
  Schema.Struct({ type: Schema.Literal("broken"), what: Schema.Literals(["file", "room"]), reason: Schema.String }),
  Schema.Struct({
    type: Schema.Literal("too-long"),
    key: Schema.Number,
    tokens: Schema.Number,
    tokensMax: Schema.Number
  }),
  Schema.Struct({
    type: Schema.Literal("refused"),
    key: Schema.Number,
    part: Schema.Literals(["messages", "logitBias", "shape", "grammar", "tools", "model", "input", "dimensions"]),
    reason: Schema.String
  })
])
/** 0.1 µs a token. */
const decode = Schema.decodeUnknownSync(Message)
