/**
 * Which models are in memory: a pure policy under one limit.
 *
 *          load               unload
 *   cold ───────→ loading → ready ───────→ unloading → cold
 *
 *   M1. What is loading, ready or unloading needs at most `bytesMax` together.
 *   M2. None that answers is unloaded, and none that is asked, unless it was told to stand back.
 *   M3. None is loaded but one that is asked, or that is kept for ever and finds room which nobody waits for.
 *   M4. One that nobody asks is unloaded when its keep-alive is over, or to make room for one that is asked and has
 *       none: then those kept for ever last, the least recently used first, and none that need not go.
 *   M5. Nothing goes to make room that will not be enough.
 *   M6. Who has waited longest is loaded first. Others may take free room before it, until it has waited `patienceMs`.
 *   M7. One that is asked stands back only for the one that has waited longest, and `patienceMs` at least, once it has
 *       been ready for as long itself: those that were ready longest first, and none that need not.
 *   M8. As long as answers end, whoever is asked and fits is loaded.
 *   M9. One whose breaker is open is not loaded, and is unloaded.
 *
 * Time is an argument, and a verdict is of this moment alone: whoever stands back and is not told so again goes on.
 */
export interface Resident {
  readonly name: string
  /** At work. */
  readonly bytes: number
  /** How long it stays after it was last asked; infinite: for ever. */
  readonly keepAliveMs: number
  readonly phase: "cold" | "loading" | "ready" | "unloading"
  /** Requests that were not turned away and have not ended. */
  readonly asking: number
  /** Those of them that it works on. */
  readonly answering: number
  /** When the last request ended, or it became ready. */
  readonly usedMs: number
  readonly readySinceMs: number
  /** Since when it is asked and not ready. */
  readonly waitingSinceMs: number
  /** False while its breaker is open. */
  readonly mayLoad: boolean
}

export interface ResidencyLimits {
  readonly bytesMax: number
  readonly patienceMs: number
}

export interface Verdict {
  readonly load: ReadonlyArray<string>
  readonly unload: ReadonlyArray<string>
  /** They begin nothing more for now. */
  readonly standBack: ReadonlySet<string>
  /** When time alone will have changed the verdict; infinite: never. */
  readonly againMs: number
}

/** What is to be done now. What is to be unloaded does not answer. */
export function review(all: ReadonlyArray<Resident>, limits: ResidencyLimits, nowMs: number): Verdict {
  const over = all.filter((one) => one.phase === "ready" && one.answering === 0 && isOver(one, nowMs))
  const kept = all.filter((one) => !over.includes(one))
  const room = makeRoom(kept, over, limits, nowMs)
  return {
    load: room.load.map(({ name }) => name),
    unload: [...over, ...room.unload].map(({ name }) => name),
    standBack: new Set(room.standBack.map(({ name }) => name)),
    againMs: Math.min(
      ...all.flatMap((one) => timesOf(one, limits)).filter((ms) => ms > nowMs),
      Number.POSITIVE_INFINITY
    )
  }
}

/** By itself, whoever else is there. */
function isOver({ asking, keepAliveMs, mayLoad, usedMs }: Resident, nowMs: number): boolean {
  return !mayLoad || (asking === 0 && nowMs - usedMs >= keepAliveMs)
}

interface Room {
  readonly load: Array<Resident>
  readonly unload: ReadonlyArray<Resident>
  readonly standBack: ReadonlyArray<Resident>
}

function makeRoom(
  kept: ReadonlyArray<Resident>,
  leaving: ReadonlyArray<Resident>,
  { bytesMax, patienceMs }: ResidencyLimits,
  nowMs: number
): Room {
  const isLeaving = (one: Resident) => one.phase === "unloading" || leaving.includes(one)
  const inMemory = [...kept, ...leaving].filter(({ phase }) => phase !== "cold")
  const ready = kept.filter(({ phase }) => phase === "ready")
  const idle = ready.filter(({ answering, asking }) => asking + answering === 0).toSorted(byUse)
  const busy = ready
    .filter((one) => !idle.includes(one) && nowMs - one.readySinceMs >= patienceMs)
    .toSorted((a, b) => a.readySinceMs - b.readySinceMs)
  const cold = kept.filter(({ mayLoad, phase }) => phase === "cold" && mayLoad)
  const waiting = cold
    .filter(({ asking, bytes }) => asking > 0 && bytes <= bytesMax)
    .toSorted((a, b) => a.waitingSinceMs - b.waitingSinceMs)
  const load: Array<Resident> = []
  let free = bytesMax - total(inMemory)
  const take = (one: Resident) => {
    load.push(one)
    free -= one.bytes
  }
  let head: Resident | undefined
  for (const one of waiting) {
    if (one.bytes <= free) take(one)
    else if (head === undefined) {
      head = one
      const missing = one.bytes - free - total(inMemory.filter(isLeaving))
      if (missing <= 0) return { load, ...nobody }
      if (total(idle) >= missing) return { load, ...nobody, unload: asManyAs(idle, missing) }
      if (nowMs - one.waitingSinceMs < patienceMs) continue
      const going = asManyAs([...idle, ...busy], missing)
      const isEnough = total(going) >= missing
      return {
        load,
        unload: isEnough ? going.filter(({ answering }) => answering === 0) : [],
        standBack: isEnough ? going.filter((victim) => busy.includes(victim)) : []
      }
    }
  }
  if (head === undefined) {
    for (const one of cold) if (one.keepAliveMs === Infinity && one.asking === 0 && one.bytes <= free) take(one)
  }
  return { load, ...nobody }
}

const nobody = { unload: [], standBack: [] }

/** Those kept for ever last, the least recently used first. */
function byUse(a: Resident, b: Resident): number {
  const isForEver = (one: Resident) => Number(one.keepAliveMs === Infinity)
  return isForEver(a) - isForEver(b) || a.usedMs - b.usedMs
}

/** The first of them that make up so many bytes, without those that the others do not need. */
function asManyAs(all: ReadonlyArray<Resident>, bytes: number): ReadonlyArray<Resident> {
  const taken: Array<Resident> = []
  for (const one of all) if (total(taken) < bytes) taken.push(one)
  let spare = total(taken) - bytes
  return taken.toReversed().filter((one) => {
    const isSpared = one.bytes <= spare
    if (isSpared) spare -= one.bytes
    return !isSpared
  })
}

/** When its own part of a verdict may become another without anything happening. */
function timesOf(one: Resident, { patienceMs }: ResidencyLimits): ReadonlyArray<number> {
  if (one.phase === "cold") return one.asking > 0 ? [one.waitingSinceMs + patienceMs] : []
  if (one.phase !== "ready") return []
  return [one.readySinceMs + patienceMs, ...(one.asking === 0 ? [one.usedMs + one.keepAliveMs] : [])]
}

function total(all: ReadonlyArray<Resident>): number {
  return all.reduce((sum, { bytes }) => sum + bytes, 0)
}
