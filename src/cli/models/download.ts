/**
 * Fetches a file into its part, over as many connections as it takes.
 *
 *   D1. Wherever connections are cut, what is whole has the bytes of the file at the server.
 *   D2. A file that changed at the server meanwhile begins anew; nothing of two files is put together.
 *   D3. It ends: attempts that bring nothing further are counted, and no file is longer than was said at first.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { needRoom } from "../disk-room.ts"
import { bytesText, durationText } from "../quantity.ts"
import { ModelTrouble } from "./model-trouble.ts"
import type { PartFile } from "./part-file.ts"
import { headersFor, planOf } from "./resume.ts"
import { GetFailed, get, type Hub, nextPiece, type WebLimits, webLimits } from "./web-get.ts"

/** A file at a server, and what is known of it before it is asked. */
export interface Wanted {
  readonly url: URL
  /** How messages and records call it. */
  readonly source: string
  readonly sizeBytes?: number | undefined
  readonly sha256?: string | undefined
  /** Of the file that is here already. */
  readonly validatorHere?: string | undefined
}

export interface DownloadLimits extends WebLimits {
  /** The pause after a cut; it is twice as long after each attempt in vain. */
  readonly retryDelayMinMs: number
  readonly retryDelayMaxMs: number
  /** One after the other that bring nothing further. */
  readonly failuresMax: number
  /** A server that wants us to wait longer is left alone. */
  readonly retryAfterMaxMs: number
}

export const downloadLimits: DownloadLimits = {
  ...webLimits,
  retryDelayMinMs: 1_000,
  retryDelayMaxMs: 30_000,
  failuresMax: 8,
  retryAfterMaxMs: 120_000
}

/** Told how far it is, after each piece; and what a person should know. */
export interface Watcher {
  readonly progress: (doneBytes: number, totalBytes: number) => Effect.Effect<void>
  readonly note: (words: string) => Effect.Effect<void>
}

interface Run {
  readonly wanted: Wanted
  readonly part: PartFile
  readonly hub: Hub
  readonly watcher: Watcher
  readonly limits: DownloadLimits
  isAnswered: boolean
  failures: number
  mostBytes: number
}

/** `unchanged`: the server says that the file which is here is the one it has. */
export const download = Effect.fn("download")(function* (
  wanted: Wanted,
  part: PartFile,
  hub: Hub,
  watcher: Watcher,
  limits = downloadLimits
): Effect.fn.Return<"whole" | "unchanged", ModelTrouble> {
  const run: Run = { wanted, part, hub, watcher, limits, isAnswered: false, failures: 0, mostBytes: part.bytes() }
  const ticket = part.ticket()
  if (ticket !== undefined && part.bytes() > 0) {
    yield* watcher.note(`Going on after the ${bytesText(part.bytes())} that are here.`)
    yield* watcher.progress(part.bytes(), ticket.sizeBytes)
  }
  while (!isWhole(part)) {
    const result = yield* Effect.result(Effect.scoped(connect(run)))
    if (Result.isSuccess(result)) {
      if (result.success === "unchanged") return "unchanged"
      continue
    }
    if (result.failure._tag === "ModelTrouble") return yield* result.failure
    yield* waitAfter(run, result.failure)
  }
  yield* part.flush
  return "whole"
})

const isWhole = (part: PartFile) => part.ticket() !== undefined && part.bytes() === part.ticket()?.sizeBytes

/** One connection, from where the part ends. */
const connect = Effect.fnUntraced(function* (
  run: Run
): Effect.fn.Return<"unchanged" | undefined, GetFailed | ModelTrouble, Scope.Scope> {
  const { hub, limits, part, wanted, watcher } = run
  const answer = yield* get(wanted.url, headersFor(part, wanted), hub, limits)
  run.isAnswered = true
  const plan = planOf(answer, part, wanted)
  switch (plan.type) {
    case "unchanged":
      return "unchanged"
    case "refuse":
      return yield* new ModelTrouble({ reason: `${wanted.source} ${plan.reason}.` })
    case "forget":
      yield* part.begin(plan.ticket)
      return yield* new GetFailed({
        reason: "the file there is another one by now",
        isPassing: true,
        isUnreached: false
      })
    case "begin":
      yield* needRoom(part.path, plan.ticket.sizeBytes)
      if (part.bytes() > 0)
        yield* watcher.note("The server begins anew: the file changed there, or it knows no ranges.")
      yield* part.begin(plan.ticket)
      break
    case "go-on":
      yield* needRoom(part.path, plan.ticket.sizeBytes - part.bytes())
  }
  yield* receive(run, answer.body, plan.ticket.sizeBytes)
  if (!isWhole(part)) return yield* cut("the connection ended too early")
})

const cut = (reason: string) => new GetFailed({ reason, isPassing: true, isUnreached: false })

const receive = Effect.fnUntraced(function* (
  { limits, part, wanted, watcher }: Run,
  body: AsyncIterator<Uint8Array>,
  totalBytes: number
) {
  let begun = Buffer.alloc(0)
  for (;;) {
    const piece = yield* nextPiece(body, limits)
    if (piece === undefined) return
    if (part.bytes() + begun.length + piece.length > totalBytes) {
      return yield* new ModelTrouble({ reason: `${wanted.source} sends more than it said it would.` })
    }
    if (part.bytes() > 0) yield* part.append(piece)
    else {
      begun = Buffer.concat([begun, piece])
      if (begun.length < magic.length) continue
      if (!begun.subarray(0, magic.length).equals(magic)) return yield* notGguf(wanted, begun)
      yield* part.append(begun)
      begun = Buffer.alloc(0)
    }
    yield* watcher.progress(part.bytes(), totalBytes)
  }
})

const magic = Buffer.from("GGUF")

function notGguf({ source }: Wanted, bytes: Buffer): ModelTrouble {
  const beginning = JSON.stringify(bytes.subarray(0, 24).toString("latin1").replace(/\p{C}/gu, "?"))
  return new ModelTrouble({ reason: `${source} is not a GGUF file: it begins with ${beginning}, not with "GGUF".` })
}

const waitAfter = Effect.fnUntraced(function* (run: Run, failure: GetFailed) {
  const { limits, part, wanted, watcher } = run
  // Beyond what any attempt reached: a server without ranges begins with the first byte each time.
  run.failures = part.bytes() > run.mostBytes ? 0 : run.failures + 1
  run.mostBytes = Math.max(run.mostBytes, part.bytes())
  const growingMs = Math.min(limits.retryDelayMaxMs, limits.retryDelayMinMs * 2 ** run.failures)
  const delayMs = Math.max(growingMs, failure.retryAfterMs ?? 0)
  const isHopeless = !failure.isPassing || (failure.isUnreached && !run.isAnswered) || run.failures > limits.failuresMax
  if (isHopeless || delayMs > limits.retryAfterMaxMs) {
    return yield* new ModelTrouble({
      reason: [`${wanted.source}: ${failure.reason}.`, ...mends(run, failure)].join(" ")
    })
  }
  const after = part.bytes() > 0 ? `After ${bytesText(part.bytes())}: ` : ""
  yield* watcher.note(`${after}${failure.reason}. Trying again in ${durationText(delayMs)}.`)
  yield* Effect.sleep(delayMs)
})

function mends({ failures, limits, part }: Run, { retryAfterMs = 0 }: GetFailed): ReadonlyArray<string> {
  return [
    ...(failures > limits.failuresMax ? [`${failures} attempts, one after the other, brought nothing further.`] : []),
    ...(retryAfterMs > limits.retryAfterMaxMs ? [`It asks to be left alone for ${durationText(retryAfterMs)}.`] : []),
    ...(part.bytes() > 0 ? [`What has come is kept, ${bytesText(part.bytes())}: type the same again to go on.`] : [])
  ]
}
