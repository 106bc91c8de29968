/** A doubly linked list whose items are their own links: whoever holds one takes it out in constant time. */

export interface Link<A> {
  previous: A | undefined
  next: A | undefined
}

export interface Chain<A extends Link<A>> {
  first: A | undefined
  last: A | undefined
  size: number
}

export function emptyChain<A extends Link<A>>(): Chain<A> {
  return { first: undefined, last: undefined, size: 0 }
}

/** Changes the chain in place. Without `next` it goes to the end. */
export function insert<A extends Link<A>>(chain: Chain<A>, item: A, next?: A): void {
  const previous = next === undefined ? chain.last : next.previous
  item.previous = previous
  item.next = next
  if (previous === undefined) chain.first = item
  else previous.next = item
  if (next === undefined) chain.last = item
  else next.previous = item
  chain.size++
}

/** Changes the chain in place. The item must be in it. */
export function remove<A extends Link<A>>(chain: Chain<A>, item: A): void {
  const { next, previous } = item
  if (previous === undefined) chain.first = next
  else previous.next = next
  if (next === undefined) chain.last = previous
  else next.previous = previous
  item.previous = undefined
  item.next = undefined
  chain.size--
}

export function* itemsOf<A extends Link<A>>(chain: Chain<A>): Generator<A> {
  for (let item = chain.first; item !== undefined; item = item.next) yield item
}
