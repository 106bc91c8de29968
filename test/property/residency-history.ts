/** Models that are asked, loaded, and unloaded, as the policy says and as chance has it. */
import fc from "fast-check"
import { type ResidencyLimits, type Resident, review, type Verdict } from "../../src/inference/residency.ts"

export const patienceMs = 30

const which = fc.nat({ max: 4 })
export const commands = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant("ask" as const), which }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constantFrom("begin" as const, "end" as const), which }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("give up" as const), which }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constantFrom("loaded" as const, "unloaded" as const), which }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("trip" as const, "mend" as const), which }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("pass" as const), ms: fc.constantFrom(1, 10, 30, 70) }) }
  ),
  { maxLength: 80, size: "max" }
)
export const worlds = fc.record({
  bytesMax: fc.integer({ min: 4, max: 9 }),
  models: fc.array(
    fc.record({ bytes: fc.integer({ min: 0, max: 6 }), keepAliveMs: fc.constantFrom(0, 50, Number.POSITIVE_INFINITY) }),
    { minLength: 1, maxLength: 5, size: "max" }
  )
})
export type Command = typeof commands extends fc.Arbitrary<ReadonlyArray<infer C>> ? C : never
export type WorldOptions = typeof worlds extends fc.Arbitrary<infer W> ? W : never

const resident = fc.record({
  bytes: fc.constantFrom(0, 1, 1, 2, 2, 3, 4, 8),
  keepAliveMs: fc.constantFrom(50, 200, 200, Number.POSITIVE_INFINITY),
  phase: fc.constantFrom<Resident["phase"]>("cold", "cold", "loading", "ready", "ready", "ready", "unloading"),
  asking: fc.constantFrom(0, 0, 1, 2),
  answering: fc.constantFrom(0, 0, 1),
  usedMs: fc.nat({ max: 100 }),
  readySinceMs: fc.nat({ max: 100 }),
  waitingSinceMs: fc.nat({ max: 100 }),
  mayLoad: fc.constantFrom(true, true, true, false)
})

/** Any state that there could be, whether a history leads to it or not. */
export const snapshots = fc
  .record({ all: fc.array(resident, { minLength: 1, maxLength: 8, size: "max" }), spareBytes: fc.nat({ max: 4 }) })
  .map(({ all, spareBytes }): Moment => {
    const before = all.map((one, index) => ({
      ...one,
      name: `m${index}`,
      answering: one.phase === "ready" ? Math.min(one.answering, one.asking) : 0
    }))
    const used = before.reduce((sum, { bytes, phase }) => sum + (phase === "cold" ? 0 : bytes), 0)
    const limits = { bytesMax: Math.max(8, used + spareBytes), patienceMs }
    return { before, limits, nowMs: 100, verdict: review(before, limits, 100) }
  })

type Life = { -readonly [K in keyof Resident]: Resident[K] }

export interface Moment {
  readonly before: ReadonlyArray<Resident>
  readonly verdict: Verdict
  readonly limits: ResidencyLimits
  readonly nowMs: number
}

export class World {
  readonly lives: Array<Life>
  readonly limits: ResidencyLimits
  readonly moments: Array<Moment> = []
  /** How often an answer of each was begun. */
  readonly served = new Map<string, number>()
  nowMs = 0
  #standingBack: ReadonlySet<string> = new Set()

  constructor({ bytesMax, models }: WorldOptions) {
    this.limits = { bytesMax, patienceMs }
    this.lives = models.map(({ bytes, keepAliveMs }, index) => ({
      name: `m${index}`,
      bytes: Math.min(bytes, bytesMax),
      keepAliveMs,
      phase: "cold",
      asking: 0,
      answering: 0,
      usedMs: 0,
      readySinceMs: 0,
      waitingSinceMs: 0,
      mayLoad: true
    }))
    this.#decide()
  }

  play(command: Command): void {
    if (command.type === "pass") this.nowMs += command.ms
    else {
      const life = this.lives[command.which]
      if (life === undefined) return
      this.#perform(command.type, life)
    }
    this.#decide()
  }

  #perform(type: Exclude<Command["type"], "pass">, life: Life): void {
    const { nowMs } = this
    if (type === "ask") {
      if (life.asking === 0 && life.phase !== "ready") life.waitingSinceMs = nowMs
      if (life.mayLoad) life.asking++
    } else if (type === "begin") {
      if (!this.isOpen(life) || life.asking <= life.answering) return
      life.answering++
      this.served.set(life.name, (this.served.get(life.name) ?? 0) + 1)
    } else if (type === "end" && life.answering > 0) {
      life.answering--
      life.asking--
      life.usedMs = nowMs
    } else if (type === "give up" && life.asking > life.answering) {
      life.asking--
      life.usedMs = nowMs
    } else if (type === "loaded" && life.phase === "loading") {
      life.phase = "ready"
      life.usedMs = nowMs
      life.readySinceMs = nowMs
    } else if (type === "unloaded" && life.phase === "unloading") {
      life.phase = "cold"
      life.waitingSinceMs = nowMs
    } else if (type === "trip") {
      life.mayLoad = false
      life.asking = 0
      life.answering = 0
    } else if (type === "mend") life.mayLoad = true
  }

  isOpen({ name, phase }: Life): boolean {
    return phase === "ready" && !this.#standingBack.has(name)
  }

  /** Everybody goes on who can, and time passes until there is something to decide. */
  goOn(): void {
    for (const [which, life] of this.lives.entries()) {
      for (const type of ["loaded", "unloaded", "begin"] as const) this.play({ type, which })
      while (life.answering > 0) this.play({ type: "end", which })
    }
    this.play({ type: "pass", ms: 10 })
  }

  #decide(): void {
    const before = this.lives.map((life) => ({ ...life }))
    const verdict = review(before, this.limits, this.nowMs)
    this.moments.push({ before, verdict, limits: this.limits, nowMs: this.nowMs })
    this.#standingBack = verdict.standBack
    for (const life of this.lives) {
      if (verdict.load.includes(life.name)) life.phase = "loading"
      else if (verdict.unload.includes(life.name)) life.phase = "unloading"
    }
  }
}

export function live(options: WorldOptions, commands: ReadonlyArray<Command>): World {
  const world = new World(options)
  for (const command of commands) world.play(command)
  return world
}
