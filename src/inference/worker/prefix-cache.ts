/** Readies a sequence for each prompt with what is kept of it (cache.ts), so that only the rest is decoded. */
import * as Cache from "./cache.ts"
import type { Copy } from "./copies.ts"
import type { Model } from "./model.ts"
import type { Begun } from "./wire.ts"

export interface PrefixCache {
  /**
   * Chooses a free sequence, whose only cells are then the prompt's first `tokens`. `inUse`, by id, is what is decoded
   * in the others. Not between the moves of a step and its decode.
   */
  readonly ready: (prompt: Cache.Tokens, inUse: ReadonlyArray<Cache.Past | undefined>) => Promise<Readied>
  /** Whose reading is worth waiting for, before `ready`. */
  readonly awaitedBy: (
    prompt: Cache.Tokens,
    reading: Iterable<Cache.Reading>,
    inUse: () => ReadonlyArray<Cache.Past | undefined>
  ) => Cache.Awaited | undefined
  /** From a sequence in use to a free one. */
  readonly move: (from: number, to: number) => Promise<void>
  /** The sequence is not in use any more; `past` is decoded in it. */
  readonly release: (id: number, past: Cache.Past) => void
  /** Forgets all that is not in use. */
  readonly clear: () => void
  readonly size: () => { readonly copies: number; readonly copyBytes: number; readonly heldTokens: number }
}

interface Readied {
  readonly id: number
  readonly tokens: number
  /** Where these were. */
  readonly found: Begun["found"]
}

/** To look through so many takes a fraction of a millisecond. */
const copiesMax = 1_024

export function openPrefixCache(
  model: Model,
  { bytesMax, sequences, stepTokensMax }: { bytesMax: number; sequences: number; stepTokensMax: number }
): PrefixCache {
  const limits = { bytesMax: model.canCopy ? bytesMax : 0, copiesMax, canCut: model.canCut }
  const state: State = { model, cache: Cache.empty<Copy>(sequences, limits), dropped: new Set() }
  const { cache } = state
  return {
    ready: async (prompt, inUse) => {
      const readied = await ready(state, prompt, inUse)
      free(state)
      return readied
    },
    awaitedBy: (prompt, reading, inUse) => {
      const foundTokens = () => Cache.find(cache, prompt, inUse())?.tokens ?? 0
      return Cache.awaitedBy(cache, prompt, reading, stepTokensMax, foundTokens)
    },
    move: async (from, to) => {
      await vacate(state, to)
      free(state)
      await model.move(from, to)
    },
    release: (id, past) => Cache.hold(cache, id, past),
    clear: () => {
      for (const [id, held] of cache.held.entries()) if (held !== undefined) model.clear(id)
      drop(state, Cache.clear(cache))
      free(state)
    },
    size: () => ({
      copies: cache.copies.size,
      copyBytes: cache.bytes,
      heldTokens: cache.held.reduce((sum, held) => sum + (held?.tokens.length ?? 0), 0)
    })
  }
}

interface State {
  readonly model: Model
  readonly cache: Cache.Cache<Copy>
  /** Freed only when nobody fetches any more: what makes room may be what is wanted. */
  readonly dropped: Set<Cache.Kept<Copy>>
}

function drop({ dropped }: State, more: Iterable<Cache.Kept<Copy>>): void {
  for (const kept of more) dropped.add(kept)
}

function free({ dropped }: State): void {
  for (const { copy } of dropped) copy.free()
  dropped.clear()
}

async function ready(
  state: State,
  prompt: Cache.Tokens,
  inUse: ReadonlyArray<Cache.Past | undefined>
): Promise<Readied> {
  const { cache, model } = state
  const found = Cache.find(cache, prompt, inUse)
  if (found?.type === "held") return take(state, found)
  const kept = found?.type === "shared" ? await copyOf(state, found.id, found.past) : found?.kept
  const id = Cache.spare(cache, (id) => inUse[id] === undefined)
  if (id === undefined) throw new Error("more requests were sent to the worker than it has sequences")
  await vacate(state, id)
  if (found === undefined || kept === undefined) return nothingIn(id)
  Cache.use(cache, kept)
  if (await model.restore(kept.copy, found.tokens, id)) {
    return { id, tokens: found.tokens, found: found.type === "copy" ? "copy" : "sequence" }
  }
  Cache.drop(cache, kept)
  drop(state, [kept])
  model.clear(id)
  return nothingIn(id)
}

const nothingIn = (id: number): Readied => ({ id, tokens: 0, found: "nowhere" })

/** As it is, less its end. */
function take({ cache, model }: State, { id, tokens }: { readonly id: number; readonly tokens: number }): Readied {
  const isWhole = cache.held[id]!.tokens.length === tokens
  Cache.letGo(cache, id)
  if (isWhole || model.cut(id, tokens)) return { id, tokens, found: "sequence" }
  model.clear(id)
  return nothingIn(id)
}

/** Empties a free sequence, and keeps what it held if that is worth it. */
async function vacate(state: State, id: number): Promise<void> {
  const { cache, model } = state
  const held = cache.held[id]
  if (held === undefined) return
  if (Cache.isWorthACopy(cache, held, 0)) await copyOf(state, id, held)
  Cache.letGo(cache, id)
  model.clear(id)
}

async function copyOf(
  state: State,
  id: number,
  { promptTokens, tokens }: Cache.Past
): Promise<Cache.Kept<Copy> | undefined> {
  const copy = await state.model.copy(id, tokens.length)
  if (copy === undefined) return undefined
  const kept = { tokens, promptTokens, bytes: copy.bytes, copy }
  drop(state, Cache.keep(state.cache, kept))
  return kept
}
