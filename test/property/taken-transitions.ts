/** Which transitions of a machine a step takes: a test of a machine shows that its generators reach all there are. */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyTransitionDefinition,
  type EventObject,
  getInitialMicrosteps,
  getMicrosteps
} from "xstate"
import { getStateNodes } from "xstate/graph"

/** All transitions of the machine, each by a name that no other one has. */
export function transitionsOf(machine: AnyStateMachine): ReadonlyArray<string> {
  const nodes = [machine.root, ...getStateNodes(machine)]
  return nodes.flatMap((node) => [...node.transitions.values(), node.always ?? []].flat().map(nameOf)).toSorted()
}

export function statesOf(machine: AnyStateMachine): ReadonlyArray<string> {
  return getStateNodes(machine)
    .map(({ id }) => id)
    .toSorted()
}

/** The states that a step goes through, and the transitions between them. */
export interface Way {
  readonly states: ReadonlyArray<string>
  readonly transitions: ReadonlyArray<string>
}

export function wayOfStart(machine: AnyStateMachine, input: unknown): Way {
  const start = getInitialMicrosteps as (machine: AnyStateMachine, input: unknown) => ReturnType<typeof getMicrosteps>
  return wayOf([], snapshotsOf(start(machine, input)))
}

export function wayOfStep(machine: AnyStateMachine, before: AnyMachineSnapshot, event: EventObject): Way {
  const chosen = machine.getTransitionData(before, event) as ReadonlyArray<AnyTransitionDefinition>
  return wayOf(chosen, snapshotsOf(getMicrosteps(machine, before, event)))
}

function wayOf(first: ReadonlyArray<AnyTransitionDefinition>, snapshots: ReadonlyArray<AnyMachineSnapshot>): Way {
  const eventless = snapshots.slice(1).flatMap((after, index) => eventlessBetween(snapshots[index]!, after))
  return {
    states: snapshots.flatMap(({ _nodes }) => _nodes.map(({ id }) => id)),
    transitions: [...first, ...eventless].map(nameOf)
  }
}

/** In our machines the eventless transitions of a state lead to different states. */
function eventlessBetween(before: AnyMachineSnapshot, after: AnyMachineSnapshot) {
  const always = before._nodes.flatMap((node) => node.always ?? [])
  return always.filter(({ target }) => target?.every((node) => after._nodes.includes(node)))
}

function snapshotsOf(steps: ReturnType<typeof getMicrosteps>): ReadonlyArray<AnyMachineSnapshot> {
  return steps.map(([snapshot]) => snapshot as AnyMachineSnapshot)
}

function nameOf({ eventType, guard, source, target }: AnyTransitionDefinition): string {
  const targets = target?.map(({ id }) => id).join(", ") ?? "itself"
  return `${source.id} --${eventType || "always"}${guard === undefined ? "" : ` [${String(guard)}]`}--> ${targets}`
}
