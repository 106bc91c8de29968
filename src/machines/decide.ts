/**
 * One step of a pure machine: what it was, what happened, when → what it is, and what must be done.
 *
 *   D1. A timer that was cancelled or replaced changes nothing when it fires after all.
 *   D2. A step that changes nothing and asks for nothing returns the very same situation.
 *
 * Throws what a guard or an `assign` of the machine throws: a defect of that event.
 */
import {
  type AnyActorScope,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EmittedFrom,
  type EventFromLogic,
  type EventObject,
  type ExecutableActionObject,
  type InputFrom,
  type SnapshotFrom
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
  const [snapshot, executables] = pure<M>(machine, (scope) => machine.getInitialSnapshot(scope, input))
  return sort<M>(snapshot, new Map(), 0, executables, nowMs)
}

export function decide<M extends AnyStateMachine>(
  machine: M,
  before: Situation<M>,
  event: EventFromLogic<M>,
  nowMs: number
): Decision<M> {
  const [snapshot, executables] = pure<M>(machine, (scope) => machine.transition(before.snapshot, event, scope))
  if (snapshot === before.snapshot && executables.length === 0) return [before, []]
  return sort<M>(snapshot, before.timers, before.armings, executables, nowMs)
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

type Scope = AnyActorScope & { actionExecutor: (action: ExecutableActionObject) => void }

const scopes = new WeakMap<AnyStateMachine, Scope>()

/**
 * What XState's `transition` and `initialTransition` do. They make an actor for each step, which takes half of its time
 * and three quarters of its memory; as nothing in it is ever run, one for each machine will do.
 */
function pure<M extends AnyStateMachine>(machine: M, step: (scope: Scope) => AnyMachineSnapshot) {
  const executables: Array<ExecutableActionObject> = []
  const scope = scopes.get(machine) ?? scopeOf(machine)
  scope.actionExecutor = (action) => executables.push(action)
  return [step(scope) as SnapshotFrom<M>, executables] as const
}

function scopeOf(machine: AnyStateMachine): Scope {
  const self = createActor(machine)
  const { system } = self
  const nothing = () => {}
  const inert = { defer: nothing, logger: nothing, emit: nothing, stopChild: nothing, actionExecutor: nothing }
  const scope: Scope = { self, system, id: "", sessionId: "", ...inert }
  scopes.set(machine, scope)
  return scope
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
