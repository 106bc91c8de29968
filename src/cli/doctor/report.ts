/** Findings as a person reads them in a terminal, and as one document for a program. */
import { type Colour, type Look, painted } from "../look.ts"
import type { Finding, Findings, Level } from "./finding.ts"

const levels: ReadonlyArray<Level> = ["trouble", "warning", "note", "ok"]
const colours: Readonly<Record<Level, Colour>> = { trouble: "red", warning: "yellow", note: "cyan", ok: "green" }
/** Below it an id stands above its text and not beside it. */
const besideMinWidth = 90
const levelWidth = 9
/** `database.synchronous_commit` and a space. */
const idWidth = 29
const widthMin = 40
const widthMax = 140

export const isHealthy = (findings: Findings) => findings.every(({ level }) => level !== "trouble")

export function reportJson(findings: Findings, version: string, at: string): string {
  const counts = Object.fromEntries(levels.map((level) => [level, countOf(findings, level)]))
  return JSON.stringify({ version, at, healthy: isHealthy(findings), counts, findings }, undefined, 2)
}

export function report(findings: Findings, look: Look): string {
  const width = Math.min(widthMax, Math.max(widthMin, look.width))
  const lines = findings.flatMap((finding) => linesOf(finding, { ...look, width }))
  return [...lines, "", ...wrapped(summary(findings), width)].join("\n")
}

function summary(findings: Findings): string {
  const found = levels.flatMap((level) => {
    const count = countOf(findings, level)
    return count === 0 ? [] : [`${count} ${level}${count > 1 && level !== "ok" ? "s" : ""}`]
  })
  const verdict = isHealthy(findings) ? "Parley is healthy" : "Parley needs mending"
  return `${verdict}: ${found.join(", ")}.`
}

function linesOf({ id, level, mend, saw, table = [], why }: Finding, look: Look): ReadonlyArray<string> {
  const isBeside = look.width >= besideMinWidth
  const indent = isBeside ? levelWidth + idWidth : 2
  const room = look.width - indent
  const text = [
    ...wrapped(saw, room),
    ...(why === undefined ? [] : wrapped(why, room)),
    ...tableLines(table),
    ...(mend === undefined ? [] : wrapped(`→ ${mend}`, room))
  ]
  const [first = "", ...rest] = text
  const head = painted(level.padEnd(levelWidth), colours[level], look) + (isBeside ? id.padEnd(idWidth - 1) : id)
  const margin = " ".repeat(indent)
  if (isBeside) return [`${head} ${first}`, ...rest.map((line) => margin + line)]
  return [head, ...text.map((line) => margin + line)]
}

/** Words are kept whole, but for those that are longer than a line. */
function wrapped(text: string, width: number): ReadonlyArray<string> {
  const lines: Array<string> = []
  let line = ""
  // What another program said must not steer the terminal.
  for (const word of text.replace(/\p{Cc}+/gu, " ").split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`
    if ([...longer].length <= width) {
      line = longer
      continue
    }
    if (line !== "") lines.push(line)
    const letters = [...word]
    while (letters.length > width) lines.push(letters.splice(0, width).join(""))
    line = letters.join("")
  }
  return [...lines, line]
}

function tableLines(rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => [...(row[column] ?? "")].length)))
  return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  "))
}

function countOf(findings: Findings, level: Level): number {
  return findings.filter((finding) => finding.level === level).length
}
