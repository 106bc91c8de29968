/** Questions that mean nothing, of words that are a token each in the vocabulary of the random model. */
const words = "water letter morning people train question answer bridge town week home think days moon".split(" ")

export function sentence(luck: () => number, count: number): string {
  return Array.from({ length: count }, () => words[Math.floor(luck() * words.length)]).join(" ")
}
