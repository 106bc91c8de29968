/** Times as a person reads them, in their language. */
import type { Words } from "./words.ts"

export const timeOf = (atMs: number, words: Words): string =>
  new Intl.DateTimeFormat(words.locale, { hour: "2-digit", minute: "2-digit" }).format(atMs)

export const machineTimeOf = (atMs: number): string => new Date(atMs).toISOString()

export const isSameDay = (a: number, b: number): boolean => new Date(a).toDateString() === new Date(b).toDateString()

export function dayOf(atMs: number, nowMs: number, words: Words): string {
  if (isSameDay(atMs, nowMs)) return words.today
  const yesterday = new Date(nowMs)
  yesterday.setDate(yesterday.getDate() - 1)
  if (isSameDay(atMs, yesterday.getTime())) return words.yesterday
  const isThisYear = new Date(atMs).getFullYear() === new Date(nowMs).getFullYear()
  const year = isThisYear ? {} : ({ year: "numeric" } as const)
  return new Intl.DateTimeFormat(words.locale, { day: "numeric", month: "long", ...year }).format(atMs)
}
