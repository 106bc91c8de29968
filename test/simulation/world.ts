/** The simulated world: people, platforms, a database, and the processes of the server that come and go. */
import { Deferred, Effect } from "effect"
import type { Statement } from "../../src/store/database.ts"
import { Dice } from "./dice.ts"
import type { Fault, Point } from "./failpoints.ts"
import { Faults, type PlannedFault } from "./faults.ts"
import type { DeliveryClass, Observation } from "./history.ts"
import { SimulatedModel } from "./model.ts"
import type { Writing } from "./people.ts"
import { Platform } from "./platform.ts"
import { adapterOf } from "./platform-adapter.ts"
import { type Craft, Postgres } from "./postgres.ts"
import { PostgresClient } from "./postgres-client.ts"
import { type Life, type Manner, type Seams, serve } from "./server.ts"
import { type Ground, SimulatedProcess } from "./simulated-process.ts"
import { pointsOf } from "./statement-points.ts"
import { digestOf } from "./tables.ts"
import { Timeline } from "./timeline.ts"

export interface WorldOptions {
  readonly seed: number
  readonly writings: ReadonlyArray<Writing>
  readonly plan: ReadonlyArray<PlannedFault>
  readonly seams: Seams
  readonly craft: Craft
  /** Keeps what the server logs. */
  readonly isTold: boolean
}

interface Running {
  readonly life: Life
  readonly model: SimulatedModel
  readonly stop: Deferred.Deferred<void>
  readonly listeners: Set<() => void>
}

/** What happened, for a person who reads along. */
export interface Line {
  readonly atMs: number
  readonly who: string
  readonly words: string
}

const accounts: ReadonlyArray<Omit<Manner, "adapter"> & { account: string; class: DeliveryClass; isOrdered: boolean }> =
  [
    { account: "ada", class: "A", isOrdered: true, settleMs: 0, policy: "collect" },
    { account: "bob", class: "B", isOrdered: true, settleMs: 1_000, policy: "collect" },
    { account: "cyd", class: "C", isOrdered: false, settleMs: 400, policy: "interrupt" },
    { account: "dee", class: "D", isOrdered: true, settleMs: 1_000, policy: "interrupt" }
  ]
export const accountNames = accounts.map(({ account }) => account)
export const slotsMax = 2
const hourMs = 3_600_000
/** Some day in 2026. */
const epochMs = 1_780_000_000_000

export class World implements Ground {
  readonly timeline = new Timeline()
  readonly ready: Array<() => void> = []
  readonly lines: Array<Line> = []
  readonly observations: Array<Observation> = []
  readonly faults: Faults
  readonly postgres: Postgres
  readonly platforms: ReadonlyArray<Platform>
  readonly logLevel: "None" | "Info"
  wallMs = epochMs
  readonly #options: WorldOptions
  readonly #trace: Array<string> = []
  readonly #running = new Map<string, Running>()
  readonly #dice: Dice
  #lives = 0
  #marks = 0
  #isEnding = false

  constructor(options: WorldOptions) {
    this.#options = options
    this.logLevel = options.isTold ? "Info" : "None"
    this.#dice = this.#diceOf("world")
    this.faults = new Faults(options.plan, ({ fault, point }) => this.tell("fault", `${fault} at ${point}`))
    const { timeline } = this
    const pass = (point: Point) => this.faults.pass(point)
    const observe = (observation: Observation) => this.#observe(observation)
    this.postgres = new Postgres(timeline, this.#diceOf("postgres"), options.craft, (words) =>
      this.tell("postgres", words)
    )
    this.platforms = accounts.map((account) => {
      const dice = this.#diceOf(account.account)
      return new Platform({ ...account, timeline, dice, pass, observe })
    })
    for (const { account, atMs, key, text, thread, user } of options.writings) {
      const platform = this.platforms.find((one) => one.account === account)!
      timeline.after(atMs, () => platform.write(thread, user, key, text))
    }
    this.#start()
    this.#everySecond()
  }

  /** Lets time pass; false when nothing is left to happen. */
  run(untilMs: number): void {
    for (;;) {
      this.#settle()
      if (!this.timeline.step(untilMs)) break
    }
    this.timeline.nowMs = Math.max(this.timeline.nowMs, untilMs)
  }

  /** From here on nothing goes wrong, and all that is away comes back. */
  becomeQuiet(): void {
    this.faults.end()
    this.postgres.freeDisk()
    for (const { life } of this.#running.values()) life.process.thaw()
    this.#observe({ type: "quiet", atMs: this.timeline.nowMs })
  }

  /** Nobody waits for anything. */
  get isSettled(): boolean {
    const { inbound, outbound } = this.postgres.tables
    return (
      this.platforms.every(({ unanswered }) => unanswered === 0) &&
      inbound.values().every(({ fate }) => fate !== null) &&
      outbound.values().every(({ state }) => state !== "due")
    )
  }

  /** Of all that happened; the same seed gives the same. */
  get digest(): string {
    return digestOf(this.#trace)
  }

  get trace(): ReadonlyArray<string> {
    return this.#trace
  }

  /** What the operator is shown. */
  report(): Observation {
    const { attempts, letters, tally, inbound } = this.postgres.tables
    const counts: Record<string, number> = {
      pending: inbound
        .values()
        .filter(({ fate }) => fate === null)
        .toArray().length
    }
    for (const { count, term } of tally.values()) counts[term] = (counts[term] ?? 0) + count
    const ambiguous: Record<string, number> = {}
    for (const [key, all] of attempts) ambiguous[key] = all.filter(({ result }) => result === "ambiguous").length
    const deadLetters = letters.filter(({ kind }) => kind === "outbound").map(({ reference }) => reference as string)
    return { type: "reported", atMs: this.timeline.nowMs, counts, deadLetters, ambiguous }
  }

  end(): void {
    this.#isEnding = true
    for (const { life } of this.#running.values()) life.process.crash()
  }

  readonly log = (process: string, level: string, words: string): void => this.tell(process, `${level}: ${words}`)

  tell(who: string, words: string): void {
    this.#trace.push(`${this.timeline.nowMs} ${who} ${words}`)
    if (this.#options.isTold) this.lines.push({ atMs: this.timeline.nowMs, who, words })
  }

  #diceOf(name: string): Dice {
    return new Dice(`${this.#options.seed} ${name}`)
  }

  #observe(observation: Observation): void {
    this.observations.push(observation)
    this.#trace.push(JSON.stringify(observation))
  }

  #settle(): void {
    const { ready } = this
    for (let i = 0; i < ready.length; i++) {
      ready[i]!()
      if (i > 1_000_000) throw new Error(`at ${this.timeline.nowMs} ms something runs for ever`)
    }
    ready.length = 0
  }

  #start(): void {
    if (this.#isEnding) return
    const name = `p${++this.#lives}`
    const process = new SimulatedProcess(name, this, this.#diceOf(name), () => this.#ended(name))
    const { timeline } = this
    const dice = this.#diceOf(`ports of ${name}`)
    const pass = (point: Point) => this.faults.pass(point)
    const observe = (observation: Observation) => this.#observe(observation)
    const shared = { process, timeline, dice, pass, observe }
    const listeners = new Set<() => void>()
    const trace = (words: string) => void this.#trace.push(`${timeline.nowMs} ${words}`)
    const points = (statement: Statement, step: "asked" | "flushing" | "written") => {
      const passed = pointsOf(statement, step)
      if (step === "asked" && this.#options.isTold) this.tell(name, `writes ${passed.map((one) => one.split(".")[0])}`)
      return passed
    }
    const client = new PostgresClient({ ...shared, postgres: this.postgres, points, trace })
    const nextMark = () => `g${++this.#marks}`
    const model = new SimulatedModel({ ...shared, slotsMax, nextMark })
    const manners = accounts.map(({ policy, settleMs }, nth) => {
      const listening = (lose: () => void) => void listeners.add(lose)
      return { adapter: adapterOf({ ...shared, platform: this.platforms[nth]!, listening }), policy, settleMs }
    })
    const stop = Deferred.makeUnsafe<void>()
    const life: Life = { process, isDraining: false }
    this.#running.set(name, { life, model, stop, listeners })
    this.#observe({ type: "started", atMs: timeline.nowMs, process: name })
    const main = serve({
      life,
      database: client.database,
      reads: client.sweepReads,
      engine: model.engine,
      accounts: manners,
      seams: this.#options.seams,
      passes: (point) => this.#passing(process, point),
      stopped: Deferred.await(stop)
    })
    process.run(
      Effect.onExit(main, (exit) =>
        Effect.sync(() => {
          this.tell(name, `ends: ${String(exit)}`)
          process.crash()
        })
      )
    )
  }

  #passing(process: SimulatedProcess, point: Point): Effect.Effect<void> {
    return Effect.suspend(() => {
      const fault = this.faults.pass(point)
      if (fault === "crash") process.crash()
      return fault === "crash" ? Effect.never : fault === "stall" ? Effect.sleep(3_000) : Effect.void
    })
  }

  #ended(name: string): void {
    const ended = this.#running.get(name)
    if (ended === undefined) return
    this.#running.delete(name)
    ended.model.end()
    for (const platform of this.platforms) platform.closeDoor(name)
    this.#observe({ type: "ended", atMs: this.timeline.nowMs, process: name })
    if (this.#running.size === 0)
      this.timeline.after(this.#dice.int(300, 3_000), () => this.#running.size === 0 && this.#start())
  }

  #everySecond(): void {
    this.timeline.after(1_000, () => {
      const fault = this.faults.pass("second")
      if (fault !== undefined) this.#strike(fault)
      this.#everySecond()
    })
  }

  #jump(byMs: number): void {
    this.wallMs += byMs
    this.#observe({ type: "jumped", atMs: this.timeline.nowMs, byMs })
  }

  #strike(fault: Fault): void {
    const dice = this.#dice
    const [oldest] = this.#running.values()
    const { process } = oldest?.life ?? {}
    switch (fault) {
      case "clock-jump":
        this.#jump(dice.chance(0.5) ? hourMs : -hourMs)
        break
      case "postgres-kill":
      case "power-cut":
        this.postgres.fail(fault, dice.int(500, 8_000))
        if (fault === "power-cut") for (const { life } of this.#running.values()) life.process.crash()
        break
      case "disk-full":
        this.postgres.fillDisk(dice.int(500, 10_000))
        break
      case "crash":
        process?.crash()
        break
      case "freeze":
        process?.freeze()
        this.timeline.after(dice.int(2_000, 30_000), () => process?.thaw())
        break
      case "two-owners":
        this.#start()
        this.timeline.after(dice.int(3_000, 40_000), () => process?.crash())
        break
      case "sigterm":
        process?.hear(() => void process.run(Deferred.succeed(oldest!.stop, undefined)))
        break
      case "listener-lost":
        for (const lose of oldest?.listeners ?? []) lose()
        oldest?.listeners.clear()
        break
      case "model-crash":
        oldest?.model.crash()
    }
  }
}
