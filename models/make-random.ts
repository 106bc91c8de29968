/** node models/make-random.ts OUT: writes the random model of the tests. */
import { writeRandomModel } from "./random-model.ts"

const path = process.argv[2]
if (path === undefined) {
  process.stderr.write("Say where to write it: node models/make-random.ts OUT.gguf\n")
  process.exitCode = 2
} else {
  await writeRandomModel(path)
}
