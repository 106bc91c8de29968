/** The name that somebody meant. */

/** The candidate with the fewest edits, when these are few for its length; the first one of several. */
export function nearestKey(written: string, candidates: ReadonlyArray<string>): string | undefined {
  let best: { readonly candidate: string; readonly edits: number } | undefined
  for (const candidate of candidates) {
    const editsMax = Math.max(1, Math.floor(candidate.length / 3))
    // A difference in length is at least as many edits: a key of a megabyte is not compared.
    if (Math.abs(candidate.length - written.length) > editsMax) continue
    const edits = editsBetween(written.toLowerCase(), candidate.toLowerCase())
    if (edits <= editsMax && (best === undefined || edits < best.edits)) best = { candidate, edits }
  }
  return best?.candidate
}

/** Letters inserted, deleted, replaced or swapped with their neighbour (optimal string alignment distance). */
function editsBetween(a: string, b: string): number {
  let beforeLast: ReadonlyArray<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? beforeLast[j - 2]! + 1 : Infinity
      row.push(Math.min(replaced, last[j]! + 1, row[j - 1]! + 1, swapped))
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
