/** node models/make-random.ts OUT [135M]: writes the random model of the tests, or the larger one of the benchmarks. */
import { shapeOf135M, writeRandomModel } from "./random-model.ts"

const [path, size] = process.argv.slice(2)
if (path === undefined || (size !== undefined && size !== "135M")) {
  process.stderr.write("Say where to write it, and how large: node models/make-random.ts OUT.gguf [135M]\n")
  process.exitCode = 2
} else if (size === undefined) await writeRandomModel(path)
else await writeRandomModel(path, shapeOf135M)
