/**
 * Turns trained weights into a model file, with the vocabulary that their corpus was encoded with.
 *
 *   node models/train/export.ts .cache/guide models/guide.gguf
 */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Vocabulary } from "../random-vocabulary.ts"
import { guideFile } from "./guide-file.ts"
import { decodeWeights } from "./weights.ts"

const [from, to] = process.argv.slice(2)
if (from === undefined || to === undefined) {
  process.stderr.write("Say what, and where to: node models/train/export.ts FOLDER OUT.gguf\n")
  process.exitCode = 2
} else {
  const vocabulary = JSON.parse(await readFile(join(from, "vocabulary.json"), "utf8")) as Vocabulary
  const weights = decodeWeights(await readFile(join(from, "weights.safetensors")))
  const bytes = guideFile(weights, vocabulary)
  await writeFile(to, bytes, { flush: true })
  process.stdout.write(`${to}: ${bytes.length} bytes\n`)
}
