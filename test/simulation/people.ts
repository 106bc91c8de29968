/** What people write, and when: drawn from a seed before the world begins. */
import type { Dice } from "./dice.ts"
import { poison } from "./model.ts"

export interface Writing {
  readonly atMs: number
  readonly account: string
  readonly thread: string
  readonly user: string
  readonly key: string
  readonly text: string
}

/** How long people write. */
export const activeMs = 90_000

/** At least 5 conversations and 30 events. */
export function writingsOf(dice: Dice, accounts: ReadonlyArray<string>): ReadonlyArray<Writing> {
  const threads = dice.int(5, 8)
  const writings: Array<Writing> = []
  for (let nth = 0; nth < threads; nth++) {
    const account = nth < accounts.length ? accounts[nth]! : dice.pick(accounts)
    writings.push(...thread(dice, account, `t${nth}`, `user-${nth}`))
  }
  if (dice.chance(0.3)) writings.push(...flood(dice, dice.pick(accounts)))
  return writings.toSorted((a, b) => a.atMs - b.atMs)
}

function thread(dice: Dice, account: string, thread: string, user: string): ReadonlyArray<Writing> {
  const hasPoison = dice.chance(0.04)
  let atMs = dice.int(0, 20_000)
  return Array.from({ length: dice.int(6, 9) }, (_, nth) => {
    const key = `${thread}-${nth}`
    const isCommand = nth > 0 && dice.chance(0.1)
    const isPoisoned = hasPoison && nth === 2
    const text = isCommand ? "/stop" : isPoisoned ? `${poison} ${key}` : `says ${key}`
    // Several thoughts in a breath, or a pause.
    atMs += dice.chance(0.4) ? dice.int(10, 900) : dice.int(1_000, Math.floor(activeMs / 6))
    return { atMs, account, thread, user, key, text }
  })
}

/** One person writes in many threads at the same moment. */
function flood(dice: Dice, account: string): ReadonlyArray<Writing> {
  const atMs = dice.int(5_000, 60_000)
  return Array.from({ length: dice.int(8, 16) }, (_, nth) => {
    const key = `f${nth}-0`
    return { atMs: atMs + nth, account, thread: `f${nth}`, user: "flood", key, text: `says ${key}` }
  })
}
