/** Whether nobody is served again and again while somebody else waits. */
import { type Case, threadOf } from "./checker.ts"

/** So many turns of one person may begin while another one's waits. */
const turnsMax = 12
/** People's messages wait for more of them before they are asked about; some of it is the way. */
const settlingMs = 5_000

export function aboutFairness({ all, asked, keptAtMs, replies, wrote }: Case): ReadonlyArray<string> {
  const begun = [...asked.values()]
  const isFlood = ({ user }: { readonly user: string }) => user === "flood" || user.endsWith("/flood")
  if (!begun.some(isFlood)) return []
  // Who was served before may have had more than the flood, and then it is the flood's turn.
  const first = [...Map.groupBy(begun, ({ user }) => user).values()].map(([own]) => own!)
  return first
    .filter((own) => !isFlood(own))
    .flatMap((own) => {
      const events = [...wrote.values()].filter(({ key }) => `${own.prompt.at(-1)!.content}\n`.includes(` ${key}\n`))
      const thread = events[0] && threadOf(events[0])
      const ends = replies.filter((one) => threadOf(one) === thread && one.atMs < own.atMs).map(({ atMs }) => atMs)
      const kept = events.map(({ key }) => (keptAtMs.get(key) ?? own.atMs) + settlingMs)
      const sinceMs = Math.max(0, ...ends, ...kept)
      const served = begun.filter((one) => isFlood(one) && one.atMs > sinceMs && one.atMs < own.atMs)
      // A new process begins its queue anew, and so does a model that was lost.
      const isDisturbed = all.some(
        (one) =>
          (one.type === "started" || (one.type === "said" && !one.isWhole)) &&
          one.atMs >= sinceMs &&
          one.atMs <= own.atMs
      )
      if (isDisturbed || served.length <= turnsMax) return []
      return [`P5 unfair: ${own.mark} of ${thread} waited while flood was served ${served.length} times`]
    })
}
