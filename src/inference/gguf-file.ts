/** What is wrong with a model file at first sight, before a process is started for it. */
import { open } from "node:fs/promises"
import * as Effect from "effect/Effect"

/** Undefined when it may be a model. Otherwise the end of a sentence that begins with the file's name. */
export const ggufProblem = (file: string): Effect.Effect<string | undefined> =>
  Effect.tryPromise({ try: () => firstBytes(file), catch: codeOf }).pipe(
    Effect.map((bytes) => (bytes.toString("latin1") === "GGUF" ? undefined : notGguf(bytes))),
    Effect.catch((code) => Effect.succeed(problems[code] ?? `cannot be read (${code})`))
  )

const problems: Readonly<Record<string, string>> = {
  ENOENT: "is not there",
  ENOTDIR: "is not there",
  EISDIR: "is a directory and not a file",
  EACCES: "may not be read by this user",
  EPERM: "may not be read by this user"
}

async function firstBytes(file: string): Promise<Buffer> {
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
  return buffer.subarray(0, bytesRead)
}

function notGguf(bytes: Buffer): string {
  if (bytes.length === 0) return "is empty"
  return `is not a GGUF file: it begins with ${JSON.stringify(bytes.toString("latin1"))}, not with "GGUF"`
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
}
