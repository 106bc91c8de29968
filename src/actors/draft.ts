/** What the model said so far in the running attempt, and what of it may be shown. */
import type { Glimpse } from "../domain/glimpse.ts"

/** It is volatile: after a crash the turn starts over. */
export class Draft {
  readonly #show: (glimpse: Glimpse) => void
  #turn = 0
  #attempt = 0
  #text = ""
  #shown = 0
  /** What the record knows of. */
  #recorded = { turn: 0, attempt: 0 }

  constructor(show: (glimpse: Glimpse) => void) {
    this.#show = show
  }

  get turn(): number {
    return this.#turn
  }

  get attempt(): number {
    return this.#attempt
  }

  get text(): string {
    return this.#text
  }

  begin(turn: number, attempt: number): void {
    this.#turn = turn
    this.#attempt = attempt
    this.#text = ""
    this.#shown = 0
  }

  add(text: string): void {
    this.#text += text
    this.#reveal()
  }

  /** The attempt is on record. */
  record(turn: number, attempt: number): void {
    this.#recorded = { turn, attempt }
    this.#reveal()
  }

  /** Shows of an attempt that the record knows of: the number of another one may be given again after a crash. */
  #reveal(): void {
    const at = this.#shown
    const isKnown = this.#turn === this.#recorded.turn && this.#attempt <= this.#recorded.attempt
    if (!isKnown || at === this.#text.length) return
    this.#shown = this.#text.length
    this.#show({ type: "text", turn: this.#turn, attempt: this.#attempt, at, text: this.#text.slice(at) })
  }
}
