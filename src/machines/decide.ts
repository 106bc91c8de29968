/**
 * One step of a pure machine: what it was, what happened, when → what it is, and what must be done.
 *
 *   D1. A timer that was cancelled or replaced changes nothing when it fires after all.
 *   D2. A step that changes nothing and asks for nothing returns the very same situation.
 *
 * Throws what a guard or an `assign` of the machine throws: a defect of that event.
 */
import {
  type AnyStateMachine,
  type EmittedFrom,
  type EventFromLogic,
  type EventObject,
  type ExecutableActionObject,
  type InputFrom,
  initialTransition,
  type SnapshotFrom,
  transition
} from "xstate"

export interface Timer {
  readonly id: string
  /** The type of the event it becomes. */
  readonly event: string
  /** Which arming of `id` this is: one that was armed again is another timer. */
  readonly armed: number
  /** Milliseconds since the epoch. */
  readonly dueAtMs: number
}

export type Timers = ReadonlyMap<string, Timer>

export interface Situation<M extends AnyStateMachine> {
  readonly snapshot: SnapshotFrom<M>
  readonly timers: Timers
  /** How many timers were armed so far. */
  readonly armings: number
}

export type Decision<M extends AnyStateMachine> = readonly [Situation<M>, actions: ReadonlyArray<EmittedFrom<M>>]

export function begin<M extends AnyStateMachine>(machine: M, input: InputFrom<M>, nowMs: number): Decision<M> {
  // The input is optional in XState's signature only where a machine declares none.
  const start = initialTransition as (machine: M, input: InputFrom<M>) => ReturnType<typeof initialTransition<M>>
  const [snapshot, executables] = start(machine, input)
  return sort(snapshot, new Map(), 0, executables, nowMs)
}

export function decide<M extends AnyStateMachine>(
  machine: M,
  before: Situation<M>,
  event: EventFromLogic<M>,
  nowMs: number
): Decision<M> {
  const [snapshot, executables] = transition(machine, before.snapshot, event)
  if (snapshot === before.snapshot && executables.length === 0) return [before, []]
  return sort(snapshot, before.timers, before.armings, executables, nowMs)
}

export function fire<M extends AnyStateMachine>(
  machine: M,
  before: Situation<M>,
  timer: Timer,
  nowMs: number
): Decision<M> {
  if (before.timers.get(timer.id)?.armed !== timer.armed) return [before, []]
  return decide(machine, without(before, timer), { type: timer.event } as EventFromLogic<M>, nowMs)
}

export function without<M extends AnyStateMachine>(situation: Situation<M>, { id }: Timer): Situation<M> {
  const timers = new Map(situation.timers)
  timers.delete(id)
  return { ...situation, timers }
}

function sort<M extends AnyStateMachine>(
  snapshot: SnapshotFrom<M>,
  timersBefore: Timers,
  armingsBefore: number,
  executables: ReadonlyArray<ExecutableActionObject>,
  nowMs: number
): Decision<M> {
  let timers = timersBefore as Map<string, Timer>
  const changed = () => {
    if (timers === timersBefore) timers = new Map(timersBefore)
    return timers
  }
  let armings = armingsBefore
  const actions: Array<EmittedFrom<M>> = []
  for (const { params, type } of executables) {
    switch (type) {
      case "xstate.raise": {
        const { delay, event, id } = params as { id: string; event: EventObject; delay: number }
        changed().set(id, { id, event: event.type, armed: ++armings, dueAtMs: nowMs + delay })
        break
      }
      case "xstate.cancel":
        if (timers.has((params as { sendId: string }).sendId)) changed().delete((params as { sendId: string }).sendId)
        break
      case "xstate.emit":
        actions.push((params as { event: EmittedFrom<M> }).event)
        break
      default:
        throw new Error(`${type} is not an action of a pure machine: emit a named one instead`)
    }
  }
  return [{ snapshot, timers, armings }, actions]
}
