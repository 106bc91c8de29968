/** A binary heap whose items know their places, so that any of them is moved or taken out in logarithmic time. */

export interface Placed {
  /** Its index in the heap; -1 when it is in none. */
  place: number
}

type IsBefore<A> = (a: A, b: A) => boolean

/** Changes the heap in place. The item must be in none. */
export function push<A extends Placed>(heap: Array<A>, item: A, isBefore: IsBefore<A>): void {
  item.place = heap.length
  heap.push(item)
  resettle(heap, item, isBefore)
}

/** Changes the heap in place. The item must be in it. */
export function pull<A extends Placed>(heap: Array<A>, item: A, isBefore: IsBefore<A>): void {
  const last = heap.pop()!
  if (last !== item) {
    put(heap, last, item.place)
    resettle(heap, last, isBefore)
  }
  item.place = -1
}

/** To be called after what orders the item has changed. */
export function resettle<A extends Placed>(heap: Array<A>, item: A, isBefore: IsBefore<A>): void {
  let above = heap[(item.place - 1) >> 1]
  while (item.place > 0 && isBefore(item, above!)) {
    swap(heap, item, above!)
    above = heap[(item.place - 1) >> 1]
  }
  for (let below = firstBelow(heap, item, isBefore); below !== undefined && isBefore(below, item); ) {
    swap(heap, item, below)
    below = firstBelow(heap, item, isBefore)
  }
}

function firstBelow<A extends Placed>(heap: Array<A>, { place }: A, isBefore: IsBefore<A>): A | undefined {
  const left = heap[2 * place + 1]
  const right = heap[2 * place + 2]
  return right !== undefined && isBefore(right, left!) ? right : left
}

function swap<A extends Placed>(heap: Array<A>, a: A, b: A): void {
  const { place } = a
  put(heap, a, b.place)
  put(heap, b, place)
}

function put<A extends Placed>(heap: Array<A>, item: A, place: number): void {
  heap[place] = item
  item.place = place
}
