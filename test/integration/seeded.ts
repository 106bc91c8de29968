/** Luck that a failing run can have again: the same numbers for the same seed. */
import { createHash } from "node:crypto"

/** From 0 up to 1. */
export type Luck = () => number

export function luckOf(seed: string): Luck {
  let count = 0
  return () => createHash("sha256").update(`${seed}\n${count++}`).digest().readUInt32BE(0) / 2 ** 32
}

export function shuffled<A>(all: ReadonlyArray<A>, luck: Luck): ReadonlyArray<A> {
  return all
    .map((one) => ({ one, place: luck() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ one }) => one)
}
