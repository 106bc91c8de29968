/** Virtual time: what is to happen, in order; what is due at the same time, in the order in which it was asked for. */

interface Happening {
  readonly atMs: number
  readonly nth: number
  act: (() => void) | undefined
}

export class Timeline {
  /** Since the beginning of the world; it only rises. */
  nowMs = 0
  readonly #heap: Array<Happening> = []
  #count = 0

  /** Returns what calls it off. */
  after(delayMs: number, act: () => void): () => void {
    const happening: Happening = { atMs: this.nowMs + Math.max(0, delayMs), nth: ++this.#count, act }
    this.#push(happening)
    return () => {
      happening.act = undefined
    }
  }

  /** Lets the next thing happen, unless that is later than `untilMs`. False when there is none. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) return false
      this.#pop()
      if (next.act === undefined) continue
      this.nowMs = next.atMs
      next.act()
      return true
    }
  }

  #push(happening: Happening): void {
    const heap = this.#heap
    let i = heap.push(happening) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!isBefore(happening, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = happening
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.nth < b.nth)
}
