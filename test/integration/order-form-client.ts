/** People who order, and the process they talk to: whenever it dies as told it is started again, and they go on. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as wait } from "node:timers/promises"
import { Effect } from "effect"
import type { Dialogue } from "./order-form-dialogues.ts"
import type { Death, ProcessOptions, Said, Told } from "./order-form-process.ts"

export interface ClientOptions extends Omit<ProcessOptions, "deaths"> {
  /** By thread, one after the other. */
  readonly deaths?: Readonly<Record<string, ReadonlyArray<Death>>>
}

interface Chat {
  said: number
  heard: number
  /** In the order of their first arrival; a message that is sent again has the same key. */
  readonly texts: Map<string, string>
}

/** A process that tells nothing for so long will not. It starts within a second, on a machine that is not busy. */
const silenceMaxMs = 30_000
/** A start costs 0.2 s of CPU with it, and 0.5 s without. */
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), "parley-compile-cache") }
const program = join(import.meta.dirname, "order-form-process.ts")

/** The process runs until the scope closes. */
export const openClient = (options: ClientOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => new Client(options)),
    (client) => Effect.promise(() => client.kill())
  )

export class Client {
  /** By thread, each death of its own. */
  readonly died: Array<string> = []
  /** Threads that were at the write after which they die. The record tells whether it is durable. */
  readonly writing = new Set<string>()
  readonly spawned: Array<string> = []
  /** What goes against the contract whatever else happens. */
  readonly faults: Array<string> = []
  readonly log: Array<string> = []
  #options: ClientOptions
  #deaths: Map<string, ReadonlyArray<Death>>
  #child: ChildProcess
  #closed: Promise<unknown>
  #staysDead = false
  #toldAt = performance.now()
  readonly #unaccepted = new Map<string, Said>()
  readonly #chats = new Map<string, Chat>()

  constructor(options: ClientOptions) {
    this.#options = options
    this.#deaths = new Map(Object.entries(options.deaths ?? {}))
    ;[this.#child, this.#closed] = this.#run()
  }

  get account(): string {
    return this.#options.account
  }

  /** A person's side of it; a later call goes on with the same conversation. */
  async talk(thread: string, dialogue: Dialogue): Promise<void> {
    const chat = this.#chatOf(thread)
    for (const line of dialogue) {
      if (line.startsWith(">")) this.#say({ thread, key: `${thread}-${++chat.said}`, text: line.slice(2) })
      else await this.#hear(thread, chat, line.slice(2))
    }
    await this.until(`all of ${thread} is accepted`, () =>
      [...this.#unaccepted.values()].every((said) => said.thread !== thread)
    )
  }

  /** It stays dead until it is started. */
  async kill(): Promise<void> {
    this.#staysDead = true
    this.#child.kill("SIGKILL")
    await this.#closed
  }

  start(change: Partial<ClientOptions>): void {
    this.#options = { ...this.#options, ...change }
    this.#staysDead = false
    ;[this.#child, this.#closed] = this.#run()
  }

  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isSo())) {
      const { exitCode } = this.#child
      if (exitCode !== null || performance.now() > this.#toldAt + silenceMaxMs) {
        throw new Error(
          `waited in vain until ${what} (exit ${exitCode}, after ${this.died.length} deaths):\n${this.log.slice(-20).join("\n")}`
        )
      }
      await wait(20)
    }
  }

  #chatOf(thread: string): Chat {
    const chat = this.#chats.get(thread) ?? { said: 0, heard: 0, texts: new Map() }
    this.#chats.set(thread, chat)
    return chat
  }

  #say(said: Said): void {
    this.#unaccepted.set(said.key, said)
    this.#child.stdin?.write(JSON.stringify(said) + "\n")
  }

  async #hear(thread: string, chat: Chat, text: string): Promise<void> {
    await this.until(`${thread} hears "${text}"`, () => chat.texts.size > chat.heard)
    const heard = [...chat.texts.values()][chat.heard++]
    if (heard !== text) throw new Error(`${thread} heard "${heard}" where "${text}" should come`)
  }

  #run(): [ChildProcess, Promise<unknown>] {
    const deaths = Object.fromEntries([...this.#deaths].flatMap(([thread, [next]]) => (next ? [[thread, next]] : [])))
    const child = spawn(process.execPath, [program, JSON.stringify({ ...this.#options, deaths })], { env })
    const before = this.died.length
    child.stdin.on("error", () => {}) // it died while it was written to
    for (const said of this.#unaccepted.values()) child.stdin.write(JSON.stringify(said) + "\n")
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", (line) => this.#take(line))
    const closed = once(child, "close").then(() => {
      if (this.died.length > before && !this.#staysDead) this.start({})
    })
    return [child, closed]
  }

  #take(line: string): void {
    this.#toldAt = performance.now()
    if (!line.startsWith("{")) return void this.log.push(line)
    const told = JSON.parse(line) as Told
    if ("accepted" in told) this.#unaccepted.delete(told.accepted)
    else if ("spawned" in told) this.spawned.push(told.spawned)
    else if ("early" in told) this.faults.push(`${told.early} was performed before it was durable`)
    else if ("writes" in told) this.writing.add(told.writes)
    else if ("dies" in told) {
      this.died.push(told.dies)
      this.#deaths.set(told.dies, this.#deaths.get(told.dies)!.slice(1))
    } else this.#receive(told.sent)
  }

  #receive({ key, text, thread }: Said): void {
    const { texts } = this.#chatOf(thread)
    const known = texts.get(key) ?? text
    if (known !== text) this.faults.push(`${thread}: ${key} was "${known}" and then "${text}"`)
    texts.set(key, known)
  }
}
