/** What many seeds came to, added up; and as words. */
import { failpoints } from "./failpoints.ts"
import type { Outcome } from "./simulate.ts"

export interface Tally {
  seeds: number
  conversations: number
  events: number
  fired: number
  simulatedMs: number
  /** The fewest of any seed. */
  conversationsMin: number
  eventsMin: number
  firedMin: number
  /** Of `point fault`, how often it was met. */
  readonly cells: Record<string, number>
  readonly failures: Array<{ readonly seed: number; readonly violations: ReadonlyArray<string> }>
  /** Seeds whose second run was another one. */
  readonly different: Array<number>
}

export function empty(): Tally {
  const counts = { seeds: 0, conversations: 0, events: 0, fired: 0, simulatedMs: 0 }
  return { ...counts, conversationsMin: 1e9, eventsMin: 1e9, firedMin: 1e9, cells: {}, failures: [], different: [] }
}

export function count(tally: Tally, outcome: Outcome): void {
  const { conversations, events, fired, seed, simulatedMs, violations } = outcome
  const one = { ...empty(), seeds: 1, conversations, events, fired: fired.length, simulatedMs }
  const cells: Record<string, number> = {}
  for (const { fault, point } of fired) cells[`${point} ${fault}`] = (cells[`${point} ${fault}`] ?? 0) + 1
  const failures = violations.length > 0 ? [{ seed, violations }] : []
  const least = { conversationsMin: conversations, eventsMin: events, firedMin: fired.length }
  add(tally, { ...one, ...least, cells, failures })
}

export function add(tally: Tally, more: Tally): void {
  tally.seeds += more.seeds
  tally.conversations += more.conversations
  tally.events += more.events
  tally.fired += more.fired
  tally.simulatedMs += more.simulatedMs
  tally.conversationsMin = Math.min(tally.conversationsMin, more.conversationsMin)
  tally.eventsMin = Math.min(tally.eventsMin, more.eventsMin)
  tally.firedMin = Math.min(tally.firedMin, more.firedMin)
  for (const [cell, times] of Object.entries(more.cells)) tally.cells[cell] = (tally.cells[cell] ?? 0) + times
  tally.failures.push(...more.failures)
  tally.different.push(...more.different)
}

/** The table failpoint × fault, one failpoint a line. */
export function tableOf({ cells }: Tally): string {
  const width = Math.max(...Object.keys(failpoints).map((point) => point.length))
  return Object.entries(failpoints)
    .map(([point, { faults, threatens }]) => {
      const counts = faults.map((fault) => `${fault} ${cells[`${point} ${fault}`] ?? 0}`)
      return `${point.padEnd(width)}  ${threatens.padEnd(12)}  ${counts.join(", ")}`
    })
    .join("\n")
}

export function summaryOf(tally: Tally, tookMs: number): string {
  const kinds = new Set(Object.keys(tally.cells).map((cell) => cell.split(" ")[1]))
  const all = Object.entries(failpoints).flatMap(([point, { faults }]) => faults.map((fault) => `${point} ${fault}`))
  const least = all.toSorted((a, b) => (tally.cells[a] ?? 0) - (tally.cells[b] ?? 0))[0]!
  const perSecond = (amount: number) => Math.round((amount * 1_000) / tookMs)
  const lines = [
    `${tally.seeds} seeds in ${Math.round(tookMs / 1_000)} s: ${perSecond(tally.seeds)} seeds a second, ` +
      `${perSecond(tally.simulatedMs / 60_000)} simulated minutes a second.`,
    `${tally.conversations} conversations (at least ${tally.conversationsMin} a seed), ${tally.events} events ` +
      `(at least ${tally.eventsMin}), ${tally.fired} faults met (at least ${tally.firedMin}) of ${kinds.size} types ` +
      `at ${Object.keys(failpoints).length} failpoints; the rarest of ${all.length} cells is ${least} with ` +
      `${tally.cells[least] ?? 0}.`,
    `${tally.failures.length} seeds broke a promise; ${tally.different.length} were another run the second time.`
  ]
  return lines.join("\n")
}
