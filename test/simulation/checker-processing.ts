/** Whether each answer is what one model said once, to what was asked there. */
import { type Case, threadOf } from "./checker.ts"
import type { Asked, Observation, Received } from "./history.ts"

/** What people write in the simulated world names its event. */
const said = /(?:says|poison) ([a-z0-9]+-\d+)/g
const markOf = (text: string) => text.split(".", 1)[0]!

export function aboutProcessing(one: Case): ReadonlyArray<string> {
  return [
    ...one.replies.flatMap((reply) => aboutText(one, reply)),
    ...aboutRepetition(one),
    ...aboutPrompts(one),
    ...aboutGlimpses(one.all),
    ...aboutSlots(one)
  ]
}

function aboutText(one: Case, reply: Received): ReadonlyArray<string> {
  const { key, outcome, text } = reply
  const generation = one.said.get(markOf(text))
  if (outcome === "answered") {
    if (generation === undefined || !generation.isWhole || generation.text !== text)
      return [`P1 spliced: ${key} is no whole generation: ${text}`]
    return aboutQuestion(one, reply, one.asked.get(generation.mark)!)
  }
  if (outcome === "stopped") {
    const isPart = text === "Stopped." || generation?.text.startsWith(text) === true
    return isPart ? [] : [`P1 spliced: ${key} is no beginning of a generation: ${text}`]
  }
  if (text.trim() === "") return [`P2 stuck: ${key} (${outcome}) has no words`]
  return outcome === "dead" && !isGuilty(one, reply) ? [`P4 innocent: ${key} was given up: ${reply.inReplyTo}`] : []
}

/** Everything that it answers was in the last thing that the model read, in its order. */
function aboutQuestion(
  { hadTwoOwners, wrote }: Case,
  { inReplyTo, key }: Received,
  { prompt }: Asked
): ReadonlyArray<string> {
  const last = prompt.at(-1)!.content
  const places = inReplyTo.map((one) => ` ${last}\n`.indexOf(` ${one}\n`))
  const isRead = places.every((place, index) => place >= 0 && (index === 0 || place > places[index - 1]!))
  const isPoisoned = inReplyTo.some((one) => wrote.get(one)?.text.startsWith("poison"))
  return [
    // One server does not see at once what the other one accepts: not promised while there are two.
    ...(isRead || hadTwoOwners ? [] : [`P1 unread: ${key} answers ${inReplyTo}, and the model was asked: ${last}`]),
    ...(isPoisoned && !hadTwoOwners ? [`P4 poisoned: ${key} answers what kills the model`] : [])
  ]
}

/** A generation for it came to no end, or it waited as long as is promised. */
function isGuilty(one: Case, { atMs, inReplyTo }: Received): boolean {
  const { asked, jumpedAtMs, keptAtMs, postedAtMs, promised } = one
  if (jumpedAtMs < atMs) return true
  const failed = [...asked.values()].some(({ mark, prompt }) => {
    const isWhole = one.said.get(mark)?.isWhole ?? false
    return !isWhole && inReplyTo.some((key) => prompt.at(-1)!.content.includes(key))
  })
  const waited = inReplyTo.map((key) => atMs - Math.min(keptAtMs.get(key) ?? Infinity, postedAtMs.get(key) ?? Infinity))
  return failed || Math.max(0, ...waited) >= promised.turnMaxMs
}

function aboutRepetition({ replies }: Case): ReadonlyArray<string> {
  const turns = Map.groupBy(replies, (reply) => `turn ${reply.turn} of ${threadOf(reply)}`)
  const answered = replies.filter(({ outcome, text }) => outcome === "answered" || text !== "Stopped.")
  const marks = Map.groupBy(
    answered.filter(({ text }) => /^g\d+\./.test(text)),
    ({ text }) => `generation ${markOf(text)}`
  )
  return [...turns, ...marks].flatMap(([what, all]) =>
    all.length > 1 ? [`P1 repeated: ${what} was committed as ${all.map(({ key }) => key)}`] : []
  )
}

function aboutPrompts({ asked, wrote }: Case): ReadonlyArray<string> {
  return [...asked.values()].flatMap(({ mark, prompt, user }) => {
    const keys = [
      ...prompt
        .map(({ content }) => content)
        .join("\n")
        .matchAll(said)
    ].map(([, key]) => key!)
    const threads = new Set(keys.flatMap((key) => (wrote.has(key) ? [threadOf(wrote.get(key)!)] : [])))
    const strangers = keys.filter((key) => !user.endsWith(`/${wrote.get(key)?.user}`))
    if (threads.size <= 1 && strangers.length === 0) return []
    return [`P1 mixed: ${mark} for ${user} was shown ${[...threads]} and ${strangers}`]
  })
}

/** Of one attempt, in one process, text grows at its end, and is of one generation. */
function aboutGlimpses(all: ReadonlyArray<Observation>): ReadonlyArray<string> {
  const seen = new Map<string, { length: number; mark: string }>()
  return all.flatMap((glimpse) => {
    if (glimpse.type !== "glimpsed") return []
    const { at, attempt, process, text, turn } = glimpse
    const of = `attempt ${attempt} of turn ${turn} of ${threadOf(glimpse)} in ${process}`
    const before = seen.get(of) ?? { length: 0, mark: markOf(text) }
    seen.set(of, { length: at + text.length, mark: before.mark })
    const isRight = at === before.length && markOf(text) === before.mark
    return isRight ? [] : [`P1 spliced: ${of} goes on at ${at} with ${text} after ${before.length} of ${before.mark}`]
  })
}

function aboutSlots({ all, promised: { slotsMax } }: Case): ReadonlyArray<string> {
  const running = new Map<string, string>()
  let crowd = 0
  for (const one of all) {
    if (one.type === "asked") running.set(one.mark, one.process)
    else if (one.type === "said") running.delete(one.mark)
    else if (one.type === "ended") {
      for (const [mark, process] of running) if (process === one.process) running.delete(mark)
    } else continue
    crowd = Math.max(
      crowd,
      ...Map.groupBy(running.values(), (process) => process)
        .values()
        .map(({ length }) => length)
    )
  }
  return crowd > slotsMax ? [`P5 crowded: ${crowd} generations at once in ${slotsMax} slots`] : []
}
