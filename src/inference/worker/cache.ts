/**
 * Which tokens' keys and values are kept for prompts to come, and where: the cells of a sequence that is free, or a
 * copy of a sequence in memory.
 *
 *   C1. What is found begins with the same tokens as the prompt, as many as are said.
 *   C2. It is never the whole prompt: an answer follows from the last token, which must be decoded.
 *   C3. Nothing that is kept would save more, less what it costs to fetch.
 *   C4. What a sequence in use holds is copied and never taken, and its id is not given away.
 *   C5. The copies have at most `bytesMax` bytes and are at most `copiesMax`; who was used longest ago goes first, and
 *       is handed back at once, to be freed.
 *   C6. No copy begins another one, nor does its prompt begin one that was made later: a conversation that went on has
 *       one copy, and loses at most an answer when it goes on from another place.
 *   C7. Of sequences that are free an empty one is given away first, then one whose tokens a copy has, then the one
 *       that was used longest ago.
 *   C8. A prompt that begins like one that is being read waits for that, once, where a copy then saves more than it
 *       costs; and no longer than until that much is read, or its reader is gone. Its first token is at most one step
 *       later than if it had read all of it itself.
 *
 * The tokens are the whole key: a cache lives and dies with its process, whose model and template do not change.
 */
export type Tokens = ReadonlyArray<number>

/** What was decoded. */
export interface Past {
  readonly tokens: Tokens
  /** So many of them were a prompt, the others are its answer. */
  readonly promptTokens: number
}

export interface Limits {
  readonly bytesMax: number
  readonly copiesMax: number
  /** False where cells cannot be removed from the end of a sequence: what is kept is then used whole or not at all. */
  readonly canCut: boolean
}

/** Changed in place, by the functions below alone. */
export interface Cache<C> {
  readonly limits: Limits
  /** By sequence id: what is in its cells. Nothing where it is in use. */
  readonly held: Array<Held | undefined>
  /** Who was used longest ago comes first. */
  readonly copies: Set<Kept<C>>
  bytes: number
  uses: number
}

export interface Held extends Past {
  readonly lastUse: number
}

export interface Kept<C> extends Past {
  readonly bytes: number
  readonly copy: C
}

/** `tokens` is how many of the prompt's first it has. */
export type Found<C> =
  /** This free sequence, as soon as the rest is cut off. */
  | { readonly type: "held"; readonly id: number; readonly tokens: number }
  /** A sequence whose tokens are wanted by somebody else as well, and so are copied. */
  | { readonly type: "shared"; readonly id: number; readonly tokens: number; readonly past: Past }
  | { readonly type: "copy"; readonly kept: Kept<C>; readonly tokens: number }

export function empty<C>(sequences: number, limits: Limits): Cache<C> {
  return { limits, held: Array.from({ length: sequences }, () => undefined), copies: new Set(), bytes: 0, uses: 0 }
}

/** `inUse`, by id, is what the sequences hold that are decoded. */
export function find<C>(cache: Cache<C>, prompt: Tokens, inUse: ReadonlyArray<Past | undefined>): Found<C> | undefined {
  let best: { readonly found: Found<C>; readonly worth: number } | undefined
  const consider = (holding: Tokens, foundOf: (tokens: number) => Found<C>) => {
    const tokens = Math.min(sharedTokens(holding, prompt), prompt.length - 1)
    if (tokens < worthTokensMin || (!cache.limits.canCut && tokens < holding.length)) return
    const found = foundOf(tokens)
    const worth = tokens - fee[found.type] * holding.length
    if (worth > (best?.worth ?? 0)) best = { found, worth }
  }
  for (const [id, held] of cache.held.entries()) {
    if (held === undefined) continue
    consider(held.tokens, (tokens) =>
      isWorthACopy(cache, held, tokens) ? { type: "shared", id, tokens, past: held } : { type: "held", id, tokens }
    )
  }
  for (const kept of cache.copies) consider(kept.tokens, (tokens) => ({ type: "copy", kept, tokens }))
  if (cache.limits.bytesMax === 0) return best?.found
  for (const [id, past] of inUse.entries()) {
    if (past !== undefined) consider(past.tokens, (tokens) => ({ type: "shared", id, tokens, past }))
  }
  return best?.found
}

/** A prompt of which only the first tokens are decoded. */
export interface Reading {
  readonly key: number
  readonly prompt: Tokens
  readonly decoded: number
}

/** Until so many tokens of this one are decoded. */
export interface Awaited {
  readonly key: number
  readonly tokens: number
}

/**
 * `foundTokens` are there already; not looked for where nobody reads what is wanted. The reader came before, and
 * prompts are read in that order: while it has not read them, hardly more than the rest of its last step would have
 * been left for who waits.
 */
export function awaitedBy<C>(
  { limits }: Cache<C>,
  prompt: Tokens,
  reading: Iterable<Reading>,
  stepTokensMax: number,
  foundTokens: () => number
): Awaited | undefined {
  if (limits.bytesMax === 0 || !limits.canCut) return undefined
  let best: (Awaited & { readonly worth: number }) | undefined
  for (const { decoded, key, prompt: other } of reading) {
    const tokens = Math.min(sharedTokens(other, prompt), prompt.length - 1)
    // It may have read a step more by then, and all of it is copied.
    const worth = tokens - Math.max(worthTokensMin, fee.shared * Math.min(other.length, tokens + stepTokensMax))
    if (decoded < tokens && worth >= 0 && tokens > (best?.tokens ?? 0)) best = { key, tokens, worth }
  }
  return best !== undefined && best.worth >= foundTokens() ? { key: best.key, tokens: best.tokens } : undefined
}

/** The free sequence that is missed least; undefined when none is free. */
export function spare<C>(cache: Cache<C>, isFree: (id: number) => boolean): number | undefined {
  let least: { readonly id: number; readonly rank: number } | undefined
  for (const [id, held] of cache.held.entries()) {
    if (!isFree(id)) continue
    const rank = rankOf(cache, held)
    if (least === undefined || rank < least.rank) least = { id, rank }
  }
  return least?.id
}

function rankOf<C>(cache: Cache<C>, held: Held | undefined): number {
  if (held === undefined) return -2
  return isCopied(cache, held.tokens) ? -1 : held.lastUse
}

/**
 * Whether to copy what a sequence holds before all but the first `left` of its tokens are overwritten. Where a whole
 * prompt is left, its conversation goes on in there.
 */
export function isWorthACopy<C>(cache: Cache<C>, { promptTokens, tokens }: Past, left: number): boolean {
  const { limits } = cache
  const lost = tokens.length - left
  if (limits.bytesMax === 0 || lost < worthTokensMin || lost < fee.shared * tokens.length) return false
  if (left >= promptTokens) return false
  return !isCopied(cache, tokens)
}

function isCopied<C>({ copies }: Cache<C>, tokens: Tokens): boolean {
  return copies.values().some((kept) => begins(tokens, kept.tokens))
}

/** The sequence is free, and has this in its cells. */
export function hold<C>(cache: Cache<C>, id: number, past: Past): void {
  cache.held[id] = past.tokens.length === 0 ? undefined : { ...past, lastUse: ++cache.uses }
}

/** Whatever is in the cells of this sequence is about to change. */
export function letGo<C>(cache: Cache<C>, id: number): void {
  cache.held[id] = undefined
}

export function use<C>({ copies }: Cache<C>, kept: Kept<C>): void {
  if (copies.delete(kept)) copies.add(kept)
}

/** Returns what has to be freed, which may be this copy itself. */
export function keep<C>(cache: Cache<C>, kept: Kept<C>): ReadonlyArray<Kept<C>> {
  const { copies, limits } = cache
  if (isCopied(cache, kept.tokens)) return [kept]
  const dropped = [...copies].filter(({ promptTokens, tokens }) => begins(tokens, kept.tokens, promptTokens))
  for (const short of dropped) drop(cache, short)
  copies.add(kept)
  cache.bytes += kept.bytes
  for (const oldest of copies) {
    if (cache.bytes <= limits.bytesMax && copies.size <= limits.copiesMax) break
    drop(cache, oldest)
    dropped.push(oldest)
  }
  return dropped
}

export function drop<C>(cache: Cache<C>, kept: Kept<C>): void {
  if (cache.copies.delete(kept)) cache.bytes -= kept.bytes
}

/** Returns what has to be freed. */
export function clear<C>(cache: Cache<C>): ReadonlyArray<Kept<C>> {
  const dropped = [...cache.copies]
  for (const kept of dropped) drop(cache, kept)
  cache.held.fill(undefined)
  return dropped
}

/** So few tokens are decoded in about the time in which they would be fetched. */
const worthTokensMin = 16
/**
 * What a token that is kept costs to use, in tokens of a prompt. On one core it is 1/2000 to fetch it and 1/180 to copy
 * it before (135M model), and 1/280 and 1/40 (guide); where prompts are decoded faster than there, it is more.
 */
const fee = { held: 0, copy: 1 / 64, shared: 1 / 8 }

function sharedTokens(a: Tokens, b: Tokens): number {
  const length = Math.min(a.length, b.length)
  let shared = 0
  while (shared < length && a[shared] === b[shared]) shared++
  return shared
}

/** Whether its first `length` tokens do. From the end, where conversations with one system prompt differ first. */
function begins(start: Tokens, whole: Tokens, length = start.length): boolean {
  if (length > whole.length) return false
  for (let i = length - 1; i >= 0; i--) if (start[i] !== whole[i]) return false
  return true
}
