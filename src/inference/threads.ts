/** How many threads decode. */
import { availableParallelism } from "node:os"

/** A core is left to the server and to postgres: a ggml thread that loses its core stalls the whole step. */
export const threadsHere = () => Math.max(1, availableParallelism() - 1)
