/** A schedule, slow and obvious: every question is answered by looking at everybody. */
import type { Class, Limits, Refusal } from "../../src/inference/schedule.ts"
import type { Command, Request } from "./schedule-history.ts"

interface Known {
  readonly request: Request
  readonly admittedMs: number
  state: "waiting" | "running" | "gone"
  deaths: number
  prompt: number
  paidPrompt: number
  paidAnswer: number
  lane: Class
  isAged: boolean
  isStopping: boolean
  isPinned: boolean
  /** Counts the starts of all. */
  startedAs: number
}

const promptWeight = 1
const answerWeight = 2
const shareOfFree = 8
const deathsMax = 2

export class Model {
  readonly all: Array<Known> = []
  readonly #limits: Limits
  #served = new Map<string, number>()
  #lastEmptied = new Map<Class, string>()
  #starts = 0
  #nowMs = 0
  #slots: number

  constructor(limits: Limits) {
    this.#limits = limits
    this.#slots = limits.slotsMax
  }

  tokensOf({ prompt, request }: Known): number {
    return Math.min(prompt + request.answerTokensMax, this.#limits.cacheTokensMax)
  }

  play(command: Command): { refusal?: Refusal; started?: ReadonlyArray<number>; stopped?: ReadonlyArray<number> } {
    const running = this.#running()
    if (command.type === "pass") this.#nowMs += command.ms
    else if (command.type === "resize") this.#slots = Math.max(1, Math.min(command.slots, this.#limits.slotsMax))
    else if (command.type === "admit") return this.#admit(command)
    else if (command.type === "fill") return this.#fill()
    else if (command.type === "requeue all") for (const one of running.toReversed()) this.#requeue(one)
    else if (command.type === "release") {
      const one = this.all.filter(({ state }) => state !== "gone")[command.nth]
      if (one) this.#release(one)
    } else {
      const one = running.filter(({ isStopping }) => command.type !== "give way" || isStopping)[command.nth]
      if (one === undefined) return {}
      const { answerTokensMax } = one.request
      if (command.type === "pin") one.isPinned = true
      else if (command.type === "requeue") this.#requeue(one)
      else if (command.type === "give way") this.#wait(one)
      else if (command.type === "measure") this.#measure(one, command.tokens)
      else if (command.type === "settle") this.#payAnswer(one, Math.min(command.tokens, answerTokensMax))
      else this.#payAnswer(one, Math.min(one.paidAnswer + command.tokens, answerTokensMax))
    }
    return {}
  }

  /** Who starts in which order, if each had room as soon as the one before it has. */
  order(): ReadonlyArray<number> {
    const copy = new Model({ ...this.#limits, slotsMax: Number.POSITIVE_INFINITY, cacheTokensMax: Number.MAX_VALUE })
    copy.all.push(...this.all.map((one) => ({ ...one })))
    copy.#served = new Map(this.#served)
    copy.#lastEmptied = new Map(this.#lastEmptied)
    const order: Array<number> = []
    for (let next = copy.#next(); next !== undefined; next = copy.#next()) {
      copy.#start(next)
      order.push(next.request.id)
    }
    return order
  }

  #running(): ReadonlyArray<Known> {
    return this.all.filter(({ state }) => state === "running").toSorted((a, b) => a.startedAs - b.startedAs)
  }

  #waiting(lane?: Class, user?: string): ReadonlyArray<Known> {
    return this.all.filter(
      (one) =>
        one.state === "waiting" &&
        (lane === undefined || (one.lane === lane && one.deaths === 0)) &&
        (user === undefined || one.request.user === user)
    )
  }

  #tokens(some: ReadonlyArray<Known>): number {
    return some.reduce((sum, one) => sum + this.tokensOf(one), 0)
  }

  #servedOf(lane: Class, user: string): number {
    return this.#served.get(`${lane}/${user}`) ?? 0
  }

  #pay({ lane, request: { user } }: Known, service: number): void {
    this.#served.set(`${lane}/${user}`, this.#servedOf(lane, user) + service)
  }

  #payAnswer(one: Known, tokens: number): void {
    this.#pay(one, answerWeight * (tokens - one.paidAnswer))
    one.paidAnswer = tokens
  }

  #measure(one: Known, tokens: number): void {
    one.prompt = tokens
    this.#payPrompt(one)
  }

  #payPrompt(one: Known): void {
    this.#pay(one, promptWeight * (one.prompt - one.paidPrompt))
    one.paidPrompt = one.prompt
  }

  #admit({ type: _, ...request }: Extract<Command, { type: "admit" }>): { refusal?: Refusal } {
    const { queueMax, queueTokensMax, slotsMax } = this.#limits
    const lane = request.class
    const known: Known = {
      request: { ...request, id: this.all.length },
      ...{ admittedMs: this.#nowMs, state: "waiting", deaths: 0, prompt: request.promptTokens },
      ...{ paidPrompt: 0, paidAnswer: 0, lane, isAged: false, isStopping: false, isPinned: false, startedAs: 0 }
    }
    const waiting = this.#waiting()
    const free = slotsMax + queueMax - this.#running().length - waiting.length
    const freeTokens = queueTokensMax - this.#tokens(waiting)
    const own = this.#waiting(lane, request.user)
    if (free <= 0) return { refusal: "count" }
    if (waiting.length > 0 && this.tokensOf(known) > freeTokens) return { refusal: "tokens" }
    const isGreedy = own.length > shareOfFree * free || this.#tokens(own) > shareOfFree * freeTokens
    if (waiting.length > 0 && isGreedy) return { refusal: "share" }
    known.state = "gone"
    this.all.push(known)
    this.#wait(known)
    return {}
  }

  #wait(one: Known): void {
    const { user } = one.request
    one.isStopping = false
    if (one.deaths === 0) {
      one.lane = one.request.class === "interactive" || one.isAged ? "interactive" : "background"
      if (this.#waiting(one.lane, user).length === 0) {
        const level = this.#levelOf(one.lane)
        this.#served.set(`${one.lane}/${user}`, Math.max(this.#servedOf(one.lane, user), level))
      }
    }
    one.state = "waiting"
  }

  #levelOf(lane: Class): number {
    const served = this.#waiting(lane).map(({ request }) => this.#servedOf(lane, request.user))
    const last = this.#lastEmptied.get(lane)
    return served.length > 0 ? Math.min(...served) : last === undefined ? 0 : this.#servedOf(lane, last)
  }

  #leaveLine(one: Known, state: Known["state"]): void {
    one.state = state
    if (one.deaths > 0 || this.#waiting(one.lane, one.request.user).length > 0) return
    this.#lastEmptied.set(one.lane, one.request.user)
  }

  #release(one: Known): void {
    if (one.state === "waiting") this.#leaveLine(one, "gone")
    one.state = "gone"
    if (this.all.some(({ state }) => state !== "gone")) return
    this.#served.clear()
    this.#lastEmptied.clear()
  }

  #requeue(one: Known): void {
    if (one.deaths >= deathsMax) this.#release(one)
    else {
      one.deaths++
      one.isStopping = false
      one.state = "waiting"
    }
  }

  #next(): Known | undefined {
    const returned = this.#waiting().filter(({ deaths }) => deaths > 0)
    const line = (lane: Class) => {
      const firsts = this.#waiting(lane).filter((one) => this.#waiting(lane, one.request.user)[0] === one)
      const least = Math.min(...firsts.map(({ request }) => this.#servedOf(lane, request.user)))
      return firsts.find(({ request }) => this.#servedOf(lane, request.user) === least)
    }
    return returned[0] ?? line("interactive") ?? line("background")
  }

  #start(one: Known): void {
    this.#leaveLine(one, "running")
    one.startedAs = ++this.#starts
    this.#payPrompt(one)
  }

  #hasRoom(next: Known, stopped: ReadonlyArray<Known>): boolean {
    const running = this.#running().filter((one) => !one.isStopping && !stopped.includes(one))
    const { cacheTokensMax } = this.#limits
    return running.length < this.#slots && this.#tokens(running) + this.tokensOf(next) <= cacheTokensMax
  }

  #mayStart(next: Known): boolean {
    const running = this.#running()
    if (running.length === 0) return true
    if ([next, ...running].some(({ deaths }) => deaths >= deathsMax)) return false
    const { cacheTokensMax } = this.#limits
    return running.length < this.#slots && this.#tokens([next, ...running]) <= cacheTokensMax
  }

  #fill() {
    for (const one of this.all) {
      const isYoung = one.state !== "gone" && one.request.class === "background" && !one.isAged
      if (!isYoung || this.#nowMs - one.admittedMs < this.#limits.agedAfterMs) continue
      one.isAged = true
      if (one.state === "running" || one.deaths > 0) continue
      this.#leaveLine(one, "gone")
      this.#wait(one)
    }
    const started: Array<number> = []
    let next = this.#next()
    for (; next !== undefined && this.#mayStart(next); next = this.#next()) {
      this.#start(next)
      started.push(next.request.id)
    }
    const stopped = next === undefined || next.lane === "background" || next.deaths > 0 ? [] : this.#inTheWayOf(next)
    for (const one of stopped) one.isStopping = true
    return { started, stopped: stopped.map(({ request }) => request.id) }
  }

  #inTheWayOf(next: Known): ReadonlyArray<Known> {
    const may = this.#running().filter((one) => {
      return one.request.class === "background" && !one.isAged && one.deaths === 0 && !one.isPinned && !one.isStopping
    })
    if (this.#hasRoom(next, [])) return []
    const suffix = may.map((_, index) => may.slice(index)).findLast((some) => this.#hasRoom(next, some))
    if (suffix === undefined) return []
    let stopped = suffix
    for (const one of suffix) {
      const fewer = stopped.filter((other) => other !== one)
      if (this.#hasRoom(next, fewer)) stopped = fewer
    }
    return stopped
  }
}
