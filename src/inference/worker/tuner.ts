/** The threads of each kind of step: a step of one row likes fewer than one of 32, or than a prompt. */
import type { DecodeRow } from "./model.ts"
import * as Threads from "./threads.ts"
import type { ThreadChoice } from "./wire.ts"

export interface Tuner {
  readonly countFor: (load: Load) => number
  /** The step of `countFor` took so long. */
  readonly heard: (load: Load, tookMs: number) => void
  readonly isSettled: (load: Load) => boolean
  /** What is chosen, for the kinds of steps that there were. */
  readonly choices: () => ReadonlyArray<ThreadChoice>
  /** Another number whenever they are others. */
  readonly revision: () => number
}

/** A kind of step, from `tokens` up to less than twice as many. */
export interface Load {
  readonly kind: ThreadChoice["kind"]
  readonly tokens: number
}

export interface TunerOptions {
  readonly coresMax: number
  /** Of all steps; left out, they are chosen. */
  readonly threads?: number | undefined
}

export function loadOf(rows: ReadonlyArray<Pick<DecodeRow, "tokens">>): Load {
  const tokens = rows.reduce((sum, row) => sum + row.tokens.length, 0)
  return { kind: tokens > rows.length ? "prefill" : "decode", tokens }
}

/** @param nowMs a clock that does not go back */
export function openTuner({ coresMax, threads }: TunerOptions, nowMs: () => number): Tuner {
  const known = new Map<string, { readonly load: Load; threads: Threads.Threads }>()
  let revision = 0
  /** Of each kind the step that found the cores taken last: what stalls a short step may be nothing to a long one. */
  const crowded = new Map<Load["kind"], Threads.Threads>()
  const alike = (kind: Load["kind"]) => [...known.values()].filter((other) => other.load.kind === kind)
  const of = (load: Load) => {
    const found = known.get(keyOf(load))
    if (found !== undefined) return found
    const ofKind = alike(load.kind)
    // To begin with, a core for the server and for PostgreSQL.
    const likest = ofKind.toSorted((a, b) => distance(a.load, load) - distance(b.load, load))[0]
    const begun = Threads.begin(coresMax, likest?.threads.count ?? coresMax - 1)
    const taken = crowded.get(load.kind)
    const threads = taken === undefined ? begun : Threads.forewarned(begun, taken)
    const opened = { load: { ...load, tokens: floorOf(load) }, threads }
    known.set(keyOf(load), opened)
    revision++
    return opened
  }
  return {
    countFor: (load) => threads ?? Threads.countOf(of(load).threads),
    heard: (load, tookMs) => {
      const one = of(load)
      // A prompt's tokens are counted one by one, as its last step may have any number of them.
      const cost = load.kind === "prefill" ? tookMs / load.tokens : tookMs
      const after = Threads.heard(one.threads, cost, nowMs())
      if (after.count !== one.threads.count) revision++
      const isCrowded = Threads.isCrowded(one.threads, after)
      one.threads = after
      if (!isCrowded) return
      crowded.set(load.kind, after)
      for (const other of alike(load.kind)) if (other !== one) other.threads = Threads.forewarned(other.threads, after)
    },
    isSettled: (load) => threads !== undefined || Threads.isSettled(of(load).threads, nowMs()),
    choices: () =>
      [...known.values()]
        .toSorted((a, b) => a.load.kind.localeCompare(b.load.kind) || a.load.tokens - b.load.tokens)
        .map(({ load, threads: learnt }) => ({ ...load, threads: threads ?? learnt.count })),
    revision: () => revision
  }
}

const keyOf = (load: Load) => `${load.kind} ${floorOf(load)}`
const floorOf = ({ tokens }: Load) => 2 ** Math.floor(Math.log2(Math.max(1, tokens)))

function distance(a: Load, b: Load): number {
  return Math.abs(Math.log2(a.tokens / b.tokens))
}
