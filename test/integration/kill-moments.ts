/** When a kill comes: at any time, or in the very tick in which something that must not be lost has just happened. */
import { Effect } from "effect"
import type { World } from "./kill-world.ts"
import { type Luck, shuffled } from "./seeded.ts"
import type { ServerProcess } from "./server-process.ts"

export const moments = ["any-time", "acknowledged", "streaming", "replying", "starting"] as const
export type Moment = (typeof moments)[number]

/** As many as are asked for, each as often as the others, in an order of its own for each seed. */
export function* momentsOf(among: ReadonlyArray<Moment>, luck: Luck): Generator<Moment, never> {
  for (;;) yield* shuffled(among, luck)
}

export interface Life {
  readonly world: World
  readonly server: ServerProcess
  readonly luck: Luck
  /** Messages that were released for this life of the server. */
  readonly released: number
}

const laterMaxMs = 1_200
const startingMaxMs = 900
/** A life in which nothing happens is ended all the same. */
const lifeMaxMs = 20_000
const pollMs = 2

/** Succeeds when the moment has come; whoever kills does it in the same tick. */
export const comes = (moment: Moment, life: Life): Effect.Effect<unknown, unknown> => {
  const { luck, released, server, world } = life
  const { acknowledged, acknowledgedCount } = world.load
  if (moment === "starting") return Effect.sleep(luck() * startingMaxMs)
  const before = acknowledgedCount()
  const someSent = acknowledged(before + 1 + Math.floor(luck() * released * 0.8))
  const later = Effect.andThen(someSent, Effect.sleep(luck() * laterMaxMs))
  const whenReady = (wait: Effect.Effect<unknown>) =>
    Effect.andThen(server.ready, Effect.timeoutOption(wait, lifeMaxMs))
  switch (moment) {
    case "any-time":
      return whenReady(later)
    case "acknowledged":
      return whenReady(someSent)
    case "streaming":
      return whenReady(Effect.andThen(later, untilStreaming(life)))
    case "replying":
      return whenReady(
        Effect.andThen(
          someSent,
          Effect.suspend(() => nextArrival(world))
        )
      )
  }
}

const nextArrival = ({ callback }: World) => callback.arrived(callback.deliveries().length + 1)

const untilStreaming = Effect.fnUntraced(function* ({ server, world }: Life) {
  const before = server.streamed().length
  while (server.streamed().length === before && world.echoing().length === 0) yield* Effect.sleep(pollMs)
})
