/** An engine that is opened while the server already accepts: requests wait for it, and a broken one says why. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Engine, type EngineBroken, EngineLost, type OpenEngine } from "./engine.ts"
import type { StepStats } from "./step-stats.ts"

export interface BackgroundOptions {
  readonly name: string
  readonly slotsMax: number
  readonly contextTokens?: number
  readonly cacheTokensMax?: number
  readonly open: OpenEngine
}

export interface Background {
  readonly engine: Engine
  /** Succeeds when it is open, and fails when it never will be. */
  readonly opened: Effect.Effect<void, EngineBroken>
}

/** The engine closes with the scope, whether it is open by then or not. */
export const openInBackground = Effect.fn("openInBackground")(function* (
  options: BackgroundOptions
): Effect.fn.Return<Background, never, Scope.Scope> {
  const { open, ...sizes } = options
  const deferred = yield* Deferred.make<Engine, EngineBroken>()
  let opened: Exit.Exit<Engine, EngineBroken> | undefined
  const settle = (exit: Exit.Exit<Engine, EngineBroken>) => {
    opened = exit
    return Deferred.done(deferred, exit)
  }
  yield* Effect.forkScoped(Effect.onExit(open, settle), { startImmediately: true })
  const now = <A>(whenOpen: (engine: Engine) => Effect.Effect<A>, otherwise: (reason: string) => A) =>
    Effect.suspend(() => {
      if (opened === undefined) return Effect.succeed(otherwise("it is being loaded"))
      return Exit.isSuccess(opened) ? whenOpen(opened.value) : Effect.succeed(otherwise("it is broken"))
    })
  const lost = ({ reason }: EngineBroken) => new EngineLost({ reason })
  return {
    engine: {
      ...sizes,
      generate: (request) =>
        Stream.unwrap(
          Effect.map(Effect.mapError(Deferred.await(deferred), lost), (engine) => engine.generate(request))
        ),
      isReady: now(
        (engine) => engine.isReady,
        () => false
      ),
      trouble: now<string | undefined>(
        (engine) => engine.trouble,
        (reason) => reason
      ),
      steps: now<StepStats | undefined>(
        ({ steps = Effect.undefined }) => steps,
        () => undefined
      )
    },
    opened: Effect.asVoid(Deferred.await(deferred))
  }
})
