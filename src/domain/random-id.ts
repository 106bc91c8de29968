/** The one place where an id is drawn that nobody must guess or draw again. */
import { randomBytes } from "node:crypto"

/** 128 random bits in lower-case hexadecimal. */
export function randomId(): string {
  return randomBytes(16).toString("hex")
}
