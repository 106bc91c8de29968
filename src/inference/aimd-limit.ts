/**
 * How many requests one server is given at once: additive increase, multiplicative decrease, learned from its refusals
 * and from how long it takes to its first tokens.
 *
 *   A1. The limit is at least 1 and at most `slotsMax`, whatever happens.
 *   A2. Only the first token of a request that filled the limit raises it: by one until it first falls, and from then
 *       on by one in as many first tokens as the limit is.
 *   A3. Requests that were sent before a fall neither raise it nor make it fall again.
 *   A4. It falls at a refusal or a silence, to `refusedFactor` of what was in flight, and at a slow round, which filled
 *       the limit, to `slowFactor` of itself. It is halved for one round, after its first fall and then in each
 *       `eraRounds`, to measure the server at ease. Nothing else lowers it.
 *
 * A round is as many first tokens as the limit is when it begins, or more where these are few. It is slow when its mean
 * pace is `paceMax` times that of the best since the server was measured: the time to the first token is divided by the
 * length of the prompt, as a long one takes longer in an idle server as well. Rounds and not requests are compared, for
 * prompts that a server has in its cache are many times as fast as others.
 *
 * The increase and the decrease are TCP's (Chiu and Jain, "Analysis of the increase and decrease algorithms", 1989; RFC
 * 5681 with its slow start), the delay as a sign of a queue is TCP Vegas's (Brakmo and Peterson, 1995), and the round
 * in which a queue drains is BBR's ProbeRTT (Cardwell et al., 2016): without it a queue that stands there becomes the
 * measure. That they serve for requests in flight is shown by https://github.com/Netflix/concurrency-limits. A limit is
 * changed in place, by this file alone; it needs no clock.
 */

export interface Limit {
  readonly slotsMax: number
  /** Not whole: what additions have come to. */
  value: number
  /** It has not fallen yet. */
  isRising: boolean
  /** What it is again after the round in which the server is measured. */
  measuredAt: number | undefined
  /** Counts them, and the rounds that measure. */
  falls: number
  round: Round
  roundsLeft: number
  /** The best mean pace of a round since the server was measured. */
  best: number
}

interface Round {
  /** First tokens, from its start. */
  readonly size: number
  firstTokens: number
  /** In ms for each token of a prompt. */
  paces: number
  waitedMs: number
  isFull: boolean
}

/** What is remembered of a request while it waits for its first token. */
export interface Sent {
  readonly falls: number
  readonly isFull: boolean
  readonly promptTokens: number
}

const refusedFactor = 0.7
const slowFactor = 0.9
const measureFactor = 0.5
const paceMax = 2
const eraRounds = 16
/** The least of first tokens whose mean says something; as it rises, a first guess is enough. */
const roundMin = 16
const risingRoundMin = 4
/** What a prompt costs that has next to no length, in tokens. */
const promptBaseTokens = 128
/** Nobody minds: below it no round is slow. */
const unfeltMs = 250

/** It begins at 1, so that the first pace is that of an idle server. */
export function emptyLimit(slotsMax: number): Limit {
  return {
    ...{ slotsMax, value: 1, isRising: true, measuredAt: undefined, falls: 0 },
    ...{ round: emptyRound(risingRoundMin), roundsLeft: eraRounds, best: Number.POSITIVE_INFINITY }
  }
}

/** So many requests may be in flight. */
export function slotsOf({ value }: Limit): number {
  return Math.floor(value)
}

/** `inFlight` counts this one. */
export function sentOf(limit: Limit, inFlight: number, promptTokens: number): Sent {
  return { falls: limit.falls, isFull: inFlight >= slotsOf(limit), promptTokens }
}

/** The first token came, `waitedMs` after the request was sent. */
export function speak(limit: Limit, { falls, isFull, promptTokens }: Sent, waitedMs: number): void {
  if (falls !== limit.falls) return
  const { best, isRising, measuredAt, round, slotsMax, value } = limit
  const pace = waitedMs / (promptBaseTokens + promptTokens)
  round.firstTokens++
  round.paces += pace
  round.waitedMs += waitedMs
  round.isFull ||= isFull
  const isGood = waitedMs <= unfeltMs || pace <= paceMax * best
  if (isGood && isFull && measuredAt === undefined) limit.value = Math.min(slotsMax, value + (isRising ? 1 : 1 / value))
  const { size } = round
  // Whatever else comes, its mean will be slow: the longer its requests wait, the sooner that is known.
  const isSlow = round.isFull && round.paces > paceMax * best * size && round.waitedMs > unfeltMs * size
  if (measuredAt === undefined && (isSlow || round.firstTokens >= size)) endRound(limit, isSlow)
  else if (measuredAt !== undefined && round.firstTokens >= size) endMeasuring(limit, measuredAt)
}

/** It answered that it is full, or said nothing for as long as it may. `inFlight` counts this one. */
export function refuse(limit: Limit, { falls }: Sent, inFlight: number): void {
  if (falls === limit.falls) fall(limit, refusedFactor * Math.min(limit.value, inFlight))
}

function endRound(limit: Limit, isSlow: boolean): void {
  const { best, isRising, round } = limit
  limit.best = Math.min(best, round.paces / round.firstTokens)
  if (!isRising) limit.roundsLeft--
  if (isSlow) fall(limit, slowFactor * limit.value)
  else limit.round = emptyRound(sizeOf(limit))
  if (limit.roundsLeft > 0) return
  const measuredAt = limit.value
  fall(limit, measureFactor * measuredAt)
  limit.measuredAt = measuredAt
}

function endMeasuring(limit: Limit, measuredAt: number): void {
  const { firstTokens, paces } = limit.round
  limit.best = paces / firstTokens
  limit.value = measuredAt
  limit.measuredAt = undefined
  limit.roundsLeft = eraRounds
  limit.round = emptyRound(sizeOf(limit))
}

function sizeOf(limit: Limit): number {
  return Math.max(limit.isRising ? risingRoundMin : roundMin, slotsOf(limit))
}

function fall(limit: Limit, value: number): void {
  limit.value = Math.max(1, value)
  // The first guess of a pace is of few requests.
  if (limit.isRising) limit.roundsLeft = 1
  limit.isRising = false
  limit.measuredAt = undefined
  limit.falls++
  limit.round = emptyRound(sizeOf(limit))
}

function emptyRound(size: number): Round {
  return { size, firstTokens: 0, paces: 0, waitedMs: 0, isFull: false }
}
