/** What a person wrote, on its way into a log line: elided there unless the operator asked for texts (AI_DEBUG). */
export class PrivateText {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself, for a log that may show it. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return `<${this.#text.length} characters>`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** Marks a text, as in `Effect.annotateLogs({ text: privateText(inbound.text) })`; not within another object. */
export function privateText(text: string): PrivateText {
  return new PrivateText(text)
}
