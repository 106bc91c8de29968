import fc from "fast-check"
import { expect, test } from "vitest"
import { type Intensity, none, onCrash } from "../../src/machines/restart-intensity.ts"

const intensities = fc.record({
  restartsMax: fc.integer({ min: 1, max: 5 }),
  withinMs: fc.integer({ min: 1, max: 100 }),
  delayMinMs: fc.integer({ min: 1, max: 4 }),
  delayMaxMs: fc.integer({ min: 4, max: 40 })
})
const gaps = fc.array(fc.nat({ max: 60 }), { maxLength: 40, size: "max" })

/** Crashes with `gaps` in between, until given up. Each moment with the restarts granted before it. */
function live(intensity: Intensity, gaps: ReadonlyArray<number>) {
  const moments: Array<{ atMs: number; granted: ReadonlyArray<number>; delayMs: number | undefined }> = []
  let restarts = none
  let atMs = 0
  for (const gapMs of gaps) {
    atMs += gapMs
    const granted = moments.map((moment) => moment.atMs)
    const verdict = onCrash(intensity, restarts, atMs)
    moments.push({ atMs, granted, delayMs: verdict?.delayMs })
    if (verdict === undefined) break
    restarts = verdict.restarts
  }
  return moments
}

const recent = (granted: ReadonlyArray<number>, atMs: number, { withinMs }: Intensity) =>
  granted.filter((otherMs) => otherMs > atMs - withinMs).length

test("R1: no more than `restartsMax` restarts are granted within any `withinMs`", () => {
  fc.assert(
    fc.property(intensities, gaps, (intensity, gaps) => {
      for (const { atMs, delayMs, granted } of live(intensity, gaps)) {
        if (delayMs === undefined) continue
        expect(recent([...granted, atMs], atMs, intensity)).toBeLessThanOrEqual(intensity.restartsMax)
      }
    })
  )
})

test("R2: a restart is refused only when `restartsMax` were granted within the last `withinMs`", () => {
  fc.assert(
    fc.property(intensities, gaps, (intensity, gaps) => {
      for (const { atMs, delayMs, granted } of live(intensity, gaps)) {
        if (delayMs === undefined) expect(recent(granted, atMs, intensity)).toBe(intensity.restartsMax)
      }
    })
  )
})

test("R3: the wait doubles with each restart that still counts, from `delayMinMs` up to `delayMaxMs`", () => {
  fc.assert(
    fc.property(intensities, gaps, (intensity, gaps) => {
      for (const { atMs, delayMs, granted } of live(intensity, gaps)) {
        let expected = intensity.delayMinMs
        for (let i = recent(granted, atMs, intensity); i > 0; i--) expected *= 2
        if (delayMs !== undefined) expect(delayMs).toBe(Math.min(expected, intensity.delayMaxMs))
      }
    })
  )
})

test("the gaps above reach both verdicts and the longest wait", () => {
  const lives = fc.sample(fc.tuple(intensities, gaps), { numRuns: 100, seed: 1 })
  const given = lives.map(([intensity, gaps]) => live(intensity, gaps).at(-1)?.delayMs === undefined)
  const longest = lives.map(([i, gaps]) => live(i, gaps).some(({ delayMs }) => delayMs === i.delayMaxMs))
  expect(new Set(given)).toEqual(new Set([true, false]))
  expect(longest).toContain(true)
})
