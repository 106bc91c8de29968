/**
 * Whether it can go on for ever: memory, handles and dead rows of a Parley that is at work.
 *
 *   node bench/soak.ts [--minutes 60] [--warm-up 10] [--rate 50]
 *
 * Resident memory is flat when the median of the last quarter of the time is within 5 % of that of the first.
 */
import { parseArgs } from "node:util"
import { median, print, rounded } from "./figures.ts"
import { printPlace } from "./place.ts"
import { type Sample, soak } from "./soak-run.ts"

const {
  minutes,
  rate,
  "warm-up": warmUp
} = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    "warm-up": { type: "string", default: "10" },
    rate: { type: "string", default: "50" }
  }
}).values
const perSecond = Number(rate)

await printPlace(`soak: ${minutes} min at ${rate} turns/s, after ${warmUp} min`)
const soaked = await soak({
  perSecond,
  warmUpSeconds: 60 * Number(warmUp),
  seconds: 60 * Number(minutes),
  turnsEach: 8,
  told: (sample) => print(lineOf(sample))
})

const quarters = [0, 1, 2, 3].map((nth) => {
  const of = soaked.samples.slice(
    Math.floor((nth * soaked.samples.length) / 4),
    Math.floor(((nth + 1) * soaked.samples.length) / 4)
  )
  return {
    residentMb: median(of.map(({ residentMb }) => residentMb)),
    files: Math.max(...of.map(({ openFiles }) => openFiles)),
    dead: Math.max(...of.map(({ deadRows }) => deadRows)),
    live: Math.max(...of.map(({ liveRows }) => liveRows))
  }
})
const growth = quarters[3]!.residentMb / quarters[0]!.residentMb - 1
const { accepted, answered, end, transactionSeconds, turns, unremovable, warm } = soaked
print("")
print("| quarter | resident, median | open files, most | dead rows, most | live rows |")
print("|---|---|---|---|---|")
for (const [nth, { dead, files, live, residentMb }] of quarters.entries()) {
  print(`| ${nth + 1} | ${rounded(residentMb)} MB | ${files} | ${dead} | ${live} |`)
}
print("")
print(
  `resident memory, last quarter to first: ${percent(growth)}: ${Math.abs(growth) <= 0.05 ? "met" : "MISSED"} (±5 %)`
)
print(`live heap at rest: ${rounded(warm.heapMb)} MB warm, ${rounded(end.heapMb)} MB at the end`)
print(
  `open files at rest: ${warm.openFiles} warm, ${end.openFiles} at the end; handles ${warm.handles}, ${end.handles}`
)
print(
  `dead rows that VACUUM could not remove: ${unremovable}; longest transaction seen: ${rounded(transactionSeconds)} s`
)
print(`${turns} messages, ${accepted} accepted, ${answered} answered`)

function lineOf({ atSeconds, deadRows, liveConversations, liveRows, openFiles, residentMb }: Sample): string {
  const at = `${Math.floor(atSeconds / 60)}:${String(atSeconds % 60).padStart(2, "0")}`
  const rows = `${deadRows} dead of ${deadRows + liveRows} rows`
  return `${at}  ${rounded(residentMb)} MB, ${openFiles} files, ${liveConversations} conversations, ${rows}`
}

function percent(part: number): string {
  return `${part >= 0 ? "+" : ""}${(100 * part).toFixed(1)} %`
}
