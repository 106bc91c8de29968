/**
 * What this browser remembers: which conversations there are, and what was written and not accepted yet.
 *
 * Every write reads first, so that tabs do not undo each other. The id of a conversation is its key: it is kept here
 * and said to the server, and is nowhere else; the page calls a conversation by `key`, which opens nothing.
 */
import type { Rejection } from "../../src/adapters/web/frames.ts"

export interface Entry {
  readonly key: string
  /** Unknown until the first welcome. */
  readonly id?: string
  readonly title: string
  /** Of the last message that was sent from here. */
  readonly atMs: number
}

export interface Unsent {
  readonly key: string
  readonly id: string
  readonly text: string
  readonly atMs: number
  /** It failed, and waits for the person. */
  readonly reason?: Rejection
}

export interface TextStore {
  readonly get: (name: string) => string | undefined
  readonly set: (name: string, text: string) => void
}

export const entriesMax = 200
export const unsentMax = 50
export const titleMax = 48

const entriesName = "parley.conversations"
const unsentName = "parley.unsent"

export class Shelf {
  readonly #store: TextStore

  constructor(store: TextStore) {
    this.#store = store
  }

  /** Last used first. */
  entries(): ReadonlyArray<Entry> {
    return this.#read(entriesName, isEntry).toSorted((a, b) => b.atMs - a.atMs)
  }

  entry(key: string): Entry | undefined {
    return this.entries().find((entry) => entry.key === key)
  }

  put(entry: Entry): void {
    const others = this.entries().filter(({ key }) => key !== entry.key)
    this.#store.set(entriesName, JSON.stringify([entry, ...others].slice(0, entriesMax)))
  }

  rename(key: string, title: string): void {
    const entry = this.entry(key)
    if (entry !== undefined) this.put({ ...entry, title })
  }

  remove(key: string): void {
    this.#store.set(entriesName, JSON.stringify(this.entries().filter((entry) => entry.key !== key)))
    this.#setUnsent(this.#allUnsent().filter((unsent) => unsent.key !== key))
  }

  /** Gives an entry its id, if another tab did not: the id that it has from now on. */
  adopt(key: string, id: string): string {
    const entry = this.entry(key)
    if (entry !== undefined && entry.id === undefined) this.put({ ...entry, id })
    return entry?.id ?? id
  }

  /** The conversation was begun anew under another id. */
  rekey(key: string, id: string): void {
    const entry = this.entry(key)
    if (entry !== undefined) this.put({ ...entry, id })
  }

  unsent(key: string): ReadonlyArray<Unsent> {
    return this.#allUnsent().filter((unsent) => unsent.key === key)
  }

  keysOfUnsent(): ReadonlySet<string> {
    return new Set(this.#allUnsent().map(({ key }) => key))
  }

  keep(unsent: Unsent): void {
    const all = this.#allUnsent()
    const known = all.findIndex(({ id }) => id === unsent.id)
    this.#setUnsent(known < 0 ? [...all, unsent].slice(-unsentMax) : all.with(known, unsent))
  }

  drop(id: string): void {
    const all = this.#allUnsent()
    if (all.some((unsent) => unsent.id === id)) this.#setUnsent(all.filter((unsent) => unsent.id !== id))
  }

  #allUnsent(): ReadonlyArray<Unsent> {
    return this.#read(unsentName, isUnsent)
  }

  #setUnsent(all: ReadonlyArray<Unsent>): void {
    this.#store.set(unsentName, JSON.stringify(all))
  }

  #read<T>(name: string, isOne: (value: unknown) => value is T): ReadonlyArray<T> {
    try {
      const values: unknown = JSON.parse(this.#store.get(name) ?? "[]")
      return Array.isArray(values) ? values.filter(isOne) : []
    } catch {
      return []
    }
  }
}

/** The first words of a message, in one line. */
export function titleOf(text: string): string {
  const line = text.slice(0, 1_000).replace(/\s+/g, " ").trim()
  const characters = [...line]
  if (characters.length <= titleMax) return line
  const cut = characters.slice(0, titleMax).join("")
  const space = cut.lastIndexOf(" ")
  return `${cut.slice(0, space > titleMax / 2 ? space : undefined)}…`
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false
  const { key, id, title, atMs } = value as Partial<Entry>
  const isNamed = typeof key === "string" && typeof title === "string" && typeof atMs === "number"
  return isNamed && (id === undefined || typeof id === "string")
}

function isUnsent(value: unknown): value is Unsent {
  if (typeof value !== "object" || value === null) return false
  const { key, id, text, atMs } = value as Partial<Unsent>
  return [key, id, text].every((field) => typeof field === "string") && typeof atMs === "number"
}
