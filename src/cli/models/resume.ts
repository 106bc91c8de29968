/** How a download goes on: what is asked of the server, and what its answer means for the bytes that are here. */
import type { Ticket } from "./part-file.ts"

/** Of an answer. */
export interface Head {
  readonly status: number
  readonly header: (name: string) => string | undefined
}

export interface Here {
  readonly ticket: () => Ticket | undefined
  readonly bytes: () => number
}

export interface Asked {
  readonly source: string
  readonly sizeBytes?: number | undefined
  readonly sha256?: string | undefined
  readonly validatorHere?: string | undefined
}

export type Plan =
  /** The body belongs behind the bytes that are here. */
  | { readonly type: "go-on"; readonly ticket: Ticket }
  /** The body is the file from its first byte. */
  | { readonly type: "begin"; readonly ticket: Ticket }
  /** What is here belongs to no file that the server has. */
  | { readonly type: "forget"; readonly ticket: Ticket }
  | { readonly type: "unchanged" }
  /** The end of a sentence that begins with the name of the file. */
  | { readonly type: "refuse"; readonly reason: string }

/** A range is asked for only where a change would be noticed: by the validator, or in the end by the checksum. */
export function headersFor(here: Here, { validatorHere }: Asked): Readonly<Record<string, string>> {
  const ticket = here.ticket()
  if (ticket === undefined || here.bytes() === 0) return unlessStill(validatorHere)
  const range = { range: `bytes=${here.bytes()}-` }
  if (ticket.validator !== undefined) return { ...range, "if-range": ticket.validator }
  return ticket.sha256 === undefined ? {} : range
}

function unlessStill(validator: string | undefined): Readonly<Record<string, string>> {
  if (validator === undefined) return {}
  return validator.startsWith('"') ? { "if-none-match": validator } : { "if-modified-since": validator }
}

export function planOf(head: Head, here: Here, asked: Asked): Plan {
  const ticket = here.ticket()
  if (head.status === 304) return { type: "unchanged" }
  if (head.status === 206 || head.status === 416) {
    if (ticket === undefined)
      return { type: "refuse", reason: `was answered with ${head.status}, which nobody asked for` }
    return head.status === 206 && isNext(head, here, ticket) ? { type: "go-on", ticket } : { type: "forget", ticket }
  }
  const type = head.header("content-type") ?? ""
  if (type.startsWith("text/html")) {
    const mend = "On Hugging Face a file's address has /resolve/ in it, not /blob/; or take hf:user/repo:QUANT"
    return { type: "refuse", reason: `is a web page and not a GGUF file. ${mend}` }
  }
  if ((head.header("content-encoding") ?? "identity") !== "identity") {
    return { type: "refuse", reason: "comes compressed, although nobody asked for that" }
  }
  const sizeBytes = Number(head.header("content-length") ?? Number.NaN)
  if (!Number.isSafeInteger(sizeBytes)) return { type: "refuse", reason: "does not say how large it is" }
  if (sizeBytes === 0) return { type: "refuse", reason: "is empty" }
  if (asked.sizeBytes !== undefined && asked.sizeBytes !== sizeBytes) {
    return { type: "refuse", reason: `has ${sizeBytes} bytes, and its listing says ${asked.sizeBytes}` }
  }
  return { type: "begin", ticket: ticketOf(head, sizeBytes, asked) }
}

function isNext(head: Head, here: Here, ticket: Ticket): boolean {
  const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(head.header("content-range") ?? "") ?? []
  const validator = validatorOf(head)
  const isSame = validator === undefined || ticket.validator === undefined || validator === ticket.validator
  return Number(from) === here.bytes() && Number(total) === ticket.sizeBytes && isSame
}

function ticketOf(head: Head, sizeBytes: number, { sha256, source }: Asked): Ticket {
  const validator = validatorOf(head)
  return { source, sizeBytes, ...(validator && { validator }), ...(sha256 && { sha256 }) }
}

/** A weak ETag does not promise the same bytes (RFC 9110, §8.8.1), and If-Range may not use it. */
function validatorOf(head: Head): string | undefined {
  const etag = head.header("etag")
  return etag?.startsWith('"') ? etag : head.header("last-modified")
}
