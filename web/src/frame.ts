/** A frame of the server as it comes over the wire; what is not one is left out, as a newer server may say more. */
import type { ServerFrame } from "../../src/adapters/web/frames.ts"

type Fields = Readonly<Record<string, unknown>>

const isText = (value: unknown): value is string => typeof value === "string"
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)
const isOne = (value: unknown, of: ReadonlyArray<string>) => isText(value) && of.includes(value)

const shapes: Readonly<Record<ServerFrame["type"], (frame: Fields) => boolean>> = {
  welcome: ({ conversation, seq }) => isText(conversation) && isNumber(seq),
  accepted: ({ id }) => isText(id),
  rejected: ({ id, reason }) => isText(id) && isText(reason),
  state: ({ value }) => isOne(value, ["done", "typing", "awaiting-model", "streaming"]),
  delta: ({ turn, attempt, at, text }) => isNumber(turn) && isNumber(attempt) && isNumber(at) && isText(text),
  message: ({ seq, role, text, turn, atMs }) =>
    isNumber(seq) && isOne(role, ["user", "assistant", "notice"]) && isText(text) && isNumber(turn) && isNumber(atMs)
}

export function parseFrame(data: unknown): ServerFrame | undefined {
  if (!isText(data)) return undefined
  try {
    const frame: unknown = JSON.parse(data)
    if (typeof frame !== "object" || frame === null || !("type" in frame)) return undefined
    const { type } = frame
    const isKnown = isText(type) && Object.hasOwn(shapes, type)
    return isKnown && shapes[type as ServerFrame["type"]](frame as Fields) ? (frame as ServerFrame) : undefined
  } catch {
    return undefined
  }
}
