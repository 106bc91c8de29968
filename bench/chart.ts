/** A line chart as SVG, readable on white and on black. */

export interface Chart {
  readonly title: string
  readonly x: string
  readonly y: string
  /** One under each point. */
  readonly marks: ReadonlyArray<string>
  readonly lines: ReadonlyArray<{ readonly name: string; readonly values: ReadonlyArray<number> }>
}

const size = { width: 860, height: 400 }
const plot = { left: 70, right: 20, top: 50, bottom: 65 }
const colours = ["#c2410c", "#0e7490", "#6d28d9", "#4d7c0f"]
const grey = "#808080"

export function chartOf({ lines, marks, title, x, y }: Chart): string {
  const most = Math.max(...lines.flatMap(({ values }) => values))
  const step = stepOf(most)
  const top = Math.max(step, Math.ceil(most / step) * step)
  const width = size.width - plot.left - plot.right
  const height = size.height - plot.top - plot.bottom
  const atX = (index: number, count: number) => round(plot.left + ((index + 0.5) / count) * width)
  const atY = (value: number) => round(plot.top + height - (value / top) * height)
  const levels = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step)
  const grid = levels.flatMap((mark) => [
    `<path d="M${plot.left} ${atY(mark)}h${width}" stroke="${grey}" stroke-opacity="0.3"/>`,
    text(plot.left - 8, atY(mark) + 4, String(mark), "end")
  ])
  const drawn = lines.flatMap(({ name, values }, line) => {
    const colour = colours[line % colours.length]!
    const points = values.map((value, index) => `${atX(index, values.length)},${atY(value)}`)
    return [
      `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2.5"/>`,
      ...points.map((point) => `<circle cx="${point.replace(",", '" cy="')}" r="3" fill="${colour}"/>`),
      text(plot.left + 12, atY(values[0] ?? 0) - 12, name, "start", colour)
    ]
  })
  const { height: h, width: w } = size
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" font-family="sans-serif" font-size="13">`,
    text(w / 2, 24, title, "middle"),
    ...grid,
    ...marks.map((mark, index) => text(atX(index, marks.length), h - plot.bottom + 20, mark, "middle")),
    text(plot.left - 8, plot.top - 12, y, "end"),
    text(plot.left + width / 2, h - 14, x, "middle"),
    ...drawn,
    "</svg>\n"
  ].join("\n")
}

/** 1, 2 or 5 times a power of ten, so that there are four to ten marks. */
function stepOf(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9) / 4))
  return [1, 2, 5].map((factor) => factor * power).findLast((step) => step <= most / 4) ?? power
}

function text(x: number, y: number, words: string, anchor: string, colour = grey): string {
  const safe = words.replace(/&/g, "&amp;").replace(/</g, "&lt;")
  return `<text x="${round(x)}" y="${round(y)}" fill="${colour}" text-anchor="${anchor}">${safe}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
