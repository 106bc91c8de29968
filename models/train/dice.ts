/** A seeded source of choices: the same seed gives the same corpus on every machine. */

export interface Dice {
  /** A whole number from `minimum` to `maximum`, both possible. */
  readonly between: (minimum: number, maximum: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(from: ReadonlyArray<A>) => A
}

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, good enough for choosing words. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (minimum: number, maximum: number) => minimum + Math.floor(next() * (maximum - minimum + 1))
  return {
    between,
    chance: (probability) => next() < probability,
    pick: (from) => {
      if (from.length === 0) throw new Error("there is nothing to choose from")
      return from[between(0, from.length - 1)]!
    }
  }
}
