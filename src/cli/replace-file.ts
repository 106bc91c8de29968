/** A small file that is replaced as a whole: whoever reads it at any moment finds the old text or the new one. */
import { chmod, chown, open, realpath, rename, rm, stat } from "node:fs/promises"
import { randomId } from "../domain/random-id.ts"

/** Keeps the mode and, where it may, the owner of the file that was there; follows a link to it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const unfinished = `${target}.${randomId()}.tmp`
  try {
    await using handle = await open(unfinished, "wx", 0o644)
    const before = await stat(target).catch(() => undefined)
    if (before !== undefined) {
      await chown(unfinished, before.uid, before.gid).catch(() => undefined)
      await chmod(unfinished, before.mode & 0o7777)
    }
    await handle.writeFile(text)
    await handle.sync()
    await rename(unfinished, target)
  } finally {
    await rm(unfinished, { force: true })
  }
}
