/** A story as a sequence diagram in SVG, to be looked at in any browser. */
import { lanes, type Step } from "./story.ts"

const laneWidth = 250
const rowHeight = 22
const headHeight = 70
const marginLeft = 90
/** More rows than a person reads. */
const stepsMax = 1_000

export function diagramOf(title: string, all: ReadonlyArray<Step>): string {
  const steps = all.slice(0, stepsMax)
  const width = marginLeft + lanes.length * laneWidth
  const height = headHeight + (steps.length + 1) * rowHeight
  const heads = lanes.map((lane, index) => {
    const x = xOf(index)
    return (
      `<text x="${x}" y="48" class="lane">${lane}</text>` +
      `<line x1="${x}" y1="56" x2="${x}" y2="${height - 6}" class="life"/>`
    )
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<style>text{font:12px sans-serif;fill:#222}.lane{font-weight:bold;text-anchor:middle}.time{text-anchor:end;fill:#777}`,
    `.life{stroke:#ccc}.arrow{stroke:#446;marker-end:url(#head)}.fault{fill:#b00020;font-weight:bold}`,
    `.ground{fill:#fff}.words{paint-order:stroke;stroke:#fff;stroke-width:4px}</style>`,
    `<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">`,
    `<path d="M0 0L8 4L0 8z" fill="#446"/></marker></defs>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    `<text x="12" y="22" class="lane" style="text-anchor:start">${escaped(title)}</text>`,
    ...heads,
    ...steps.map((step, index) => rowOf(step, headHeight + (index + 1) * rowHeight)),
    "</svg>",
    ""
  ].join("\n")
}

function rowOf({ atMs, from, isFault, to, words }: Step, y: number): string {
  const start = xOf(lanes.indexOf(from))
  const time = `<text x="${marginLeft - 14}" y="${y}" class="time">${(atMs / 1_000).toFixed(3)}</text>`
  const label = (x: number, anchor: string) =>
    `<text x="${x}" y="${y}" class="words${isFault ? " fault" : ""}" text-anchor="${anchor}">${escaped(words)}</text>`
  if (to === undefined) return `${time}<circle cx="${start}" cy="${y - 4}" r="4"/>${label(start + 9, "start")}`
  const end = xOf(lanes.indexOf(to))
  const arrow = `<line x1="${start}" y1="${y + 4}" x2="${end}" y2="${y + 4}" class="arrow"/>`
  return `${time}${arrow}${label(Math.min(start, end) + 9, "start")}`
}

function xOf(lane: number): number {
  return marginLeft + 30 + lane * laneWidth
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
}
