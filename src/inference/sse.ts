/**
 * Reads server-sent events out of bytes as they come (WHATWG HTML, "Server-sent events", §9.2.6): any chunking of the
 * same bytes gives the same events. Bytes after the last blank line are no event, as the standard says.
 */

export interface SseEvent {
  /** "" when the server gave it none. */
  readonly event: string
  readonly data: string
}

/** Changed in place, by `readSse` alone. */
export interface SseReader {
  /** The longest line, and the longest data of one event, in UTF-16 units. */
  readonly lineMax: number
  /** Something was longer; from there on nothing is read. */
  isOverlong: boolean
  readonly decoder: TextDecoder
  /** The start of a line whose end has not come. */
  rest: string
  /** The last chunk ended in CR: an LF that follows belongs to the same end of line. */
  isAfterCr: boolean
  event: string
  data: string | undefined
}

export function sseReader(lineMax: number): SseReader {
  return {
    lineMax,
    isOverlong: false,
    decoder: new TextDecoder(),
    rest: "",
    isAfterCr: false,
    event: "",
    data: undefined
  }
}

/** The events that these bytes complete. */
export function readSse(reader: SseReader, chunk: Uint8Array): ReadonlyArray<SseEvent> {
  const events: Array<SseEvent> = []
  let text = reader.decoder.decode(chunk, { stream: true })
  if (text === "") return events
  if (reader.isAfterCr && text.startsWith("\n")) text = text.slice(1)
  reader.isAfterCr = text.endsWith("\r")
  let start = 0
  for (const { 0: end, index } of text.matchAll(/\r\n?|\n/g)) {
    readLine(reader, reader.rest + text.slice(start, index), events)
    reader.rest = ""
    start = index + end.length
  }
  if (!reader.isOverlong) reader.rest += text.slice(start)
  if (reader.rest.length > reader.lineMax) reader.isOverlong = true
  return events
}

function readLine(reader: SseReader, line: string, events: Array<SseEvent>): void {
  if (line.length > reader.lineMax) reader.isOverlong = true
  if (reader.isOverlong) return
  if (line === "") {
    if (reader.data !== undefined) events.push({ event: reader.event, data: reader.data })
    reader.event = ""
    reader.data = undefined
    return
  }
  const colon = line.indexOf(":")
  const field = colon === -1 ? line : line.slice(0, colon)
  const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
  if (field === "event") reader.event = value
  else if (field === "data") {
    reader.data = reader.data === undefined ? value : `${reader.data}\n${value}`
    if (reader.data.length > reader.lineMax) reader.isOverlong = true
  }
}
