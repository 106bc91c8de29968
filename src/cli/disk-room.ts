/** Whether a disk has room for a file. */
import { statfs } from "node:fs/promises"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import { fileWords, ModelTrouble } from "./models/model-trouble.ts"
import { bytesText } from "./quantity.ts"

/** Left to others: the database may live on the same disk. */
const marginBytes = 100 * 1024 * 1024

/** What this user may still write to the disk of a path that is there. */
export async function freeBytesOf(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}

/** Fails when `bytes` more do not fit beside `path`. */
export const needRoom = Effect.fn("needRoom")(function* (path: string, bytes: number) {
  const dir = dirname(path)
  const free = yield* Effect.tryPromise({
    try: () => freeBytesOf(dir),
    catch: (cause) => new ModelTrouble({ reason: `${dir} cannot be used: ${fileWords(cause)}.` })
  })
  if (free >= bytes + marginBytes) return
  const [needed, margin, has] = [bytes, marginBytes, free].map(bytesText)
  const reason = `There is no room in ${dir}: ${needed} are needed and ${margin} are left to others, and ${has} are free.`
  return yield* new ModelTrouble({ reason: `${reason} Make room, or keep the models on another disk (--data DIR).` })
})
