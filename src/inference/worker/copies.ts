/** Copies of what a sequence has, outside the context. */
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { InternalCheckpoint, Internals } from "./internals.ts"
import type { Model } from "./model.ts"

export interface Copy {
  readonly bytes: number
  readonly tokens: number
  readonly checkpoint: InternalCheckpoint
  readonly free: () => void
}

type Copies = Pick<Model, "canCopy" | "canCut" | "copy" | "cut" | "restore">

/** Tries on the first sequence what the memory of this model can do, and leaves it empty. */
export async function copiesOf(internals: Internals): Promise<Copies> {
  const { context } = internals
  // Where layers see a window only, the cells before it may be gone, and what is cut off needs them.
  const hasAll = (id: number) => context.getSequenceKvCacheMinPosition(id) === 0
  const can = await trial(internals).catch(() => ({ canCopy: false, canCut: false }))
  context.disposeSequence(0)
  return {
    ...can,
    cut: (id, tokens) => hasAll(id) && context.removeTokenCellsFromSequence(id, tokens, -1),
    copy: async (id, tokens) => {
      const checkpoint = await checkpointOf(internals, id).catch(() => undefined)
      return checkpoint && { bytes: checkpoint.size, tokens, checkpoint, free: () => checkpoint.dispose() }
    },
    restore: async (copy, tokens, id) => {
      const isRestored = await context.restoreCheckpoint(copy.checkpoint, tokens - 1, id).catch(() => false)
      return isRestored && (tokens === copy.tokens || hasAll(id))
    }
  }
}

async function checkpointOf({ context, newCheckpoint }: Internals, id: number): Promise<InternalCheckpoint> {
  const checkpoint = newCheckpoint()
  await checkpoint.init(context, id)
  return checkpoint
}

/** A file has all of a sequence; a checkpoint that is smaller leaves something in the context. */
async function trial(internals: Internals): Promise<Pick<Copies, "canCopy" | "canCut">> {
  const { context } = internals
  const tokens = Uint32Array.of(0, 0)
  // As many as there are by default can spin for seconds.
  context.setThreads(1)
  context.initBatch(tokens.length)
  context.addToBatch(0, 0, tokens, Uint32Array.of())
  await context.decodeBatch()
  const checkpoint = await checkpointOf(internals, 0)
  const { size } = checkpoint
  checkpoint.dispose()
  const directory = await mkdtemp(join(tmpdir(), "parley-worker-"))
  try {
    const path = join(directory, "trial")
    await context.saveSequenceStateToFile(path, 0, tokens)
    const whole = (await stat(path)).size - fileHeadBytes - tokens.byteLength + checkpointHeadBytes
    return { canCopy: size === whole, canCut: context.removeTokenCellsFromSequence(0, 1, -1) }
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Magic number, version and number of tokens; magic number and sequence. */
const fileHeadBytes = 12
const checkpointHeadBytes = 8
