/** What the tests of pulling share: a pull in this process, with a watcher that remembers. */
import { createHash } from "node:crypto"
import { Effect, type Redacted, Result } from "effect"
import { type DownloadLimits, downloadLimits } from "../../src/cli/models/download.ts"
import type { ModelTrouble } from "../../src/cli/models/model-trouble.ts"
import { type Pulled, pull } from "../../src/cli/models/pull.ts"

export const sha256Of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

export interface Outcome {
  readonly pulled: Pulled | undefined
  /** What it said when it failed. */
  readonly reason: string
  readonly exitCode: number | undefined
  readonly notes: ReadonlyArray<string>
  readonly doneBytes: ReadonlyArray<number>
}

export interface PullTest {
  readonly dataDir: string
  readonly reference: string
  readonly hub?: string
  readonly token?: Redacted.Redacted
  readonly sha256?: string
  readonly limits?: Partial<DownloadLimits>
}

export async function pullHere(test: PullTest): Promise<Outcome> {
  const notes: Array<string> = []
  const doneBytes: Array<number> = []
  const result: Result.Result<Pulled, ModelTrouble> = await Effect.runPromise(
    Effect.result(
      pull({
        reference: test.reference,
        sha256: test.sha256,
        dataDir: test.dataDir,
        hub: { url: new URL(test.hub ?? "https://hub.invalid"), token: test.token },
        watcher: {
          progress: (done) => Effect.sync(() => void doneBytes.push(done)),
          note: (words) => Effect.sync(() => void notes.push(words))
        },
        limits: { ...downloadLimits, retryDelayMinMs: 1, ...test.limits }
      })
    )
  )
  const trouble = Result.isFailure(result) ? result.failure : undefined
  return {
    pulled: Result.isSuccess(result) ? result.success : undefined,
    reason: trouble?.reason ?? "",
    exitCode: trouble?.exitCode,
    notes,
    doneBytes
  }
}
