/** Thrown for what of a job the model cannot do. */
import type { RequestPart } from "../engine.ts"

export class JobRefused extends Error {
  readonly part: RequestPart

  constructor(part: RequestPart, message: string) {
    super(message)
    this.part = part
  }
}
