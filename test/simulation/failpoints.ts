/**
 * The steps of a message's way (DESIGN.md, section 2) at which something can go wrong, what can, and which guarantee is
 * threatened by it. `passes` is about how often a run passes there.
 */

export type Fault =
  /** SIGKILL of Parley. */
  | "crash"
  /** It takes seconds. */
  | "stall"
  /** The port's own failure: refused, not reachable, no answer. */
  | "error"
  | "connection-cut"
  | "disk-full"
  | "power-cut"
  | "torn-write"
  | "fsync-error"
  | "postgres-kill"
  | "duplicate"
  | "delay"
  | "reorder"
  | "answer-lost"
  | "throttled"
  | "server-error"
  | "rejected"
  | "dropped"
  | "model-crash"
  | "model-hang"
  | "model-stall"
  | "model-busy"
  | "model-refused"
  /** It goes on for ever, and shows that it lives. */
  | "model-endless"
  | "late-tokens"
  | "clock-jump"
  | "freeze"
  | "two-owners"
  | "sigterm"
  | "listener-lost"

export interface Failpoint {
  /** As DESIGN.md, section 3, numbers them. */
  readonly threatens: string
  readonly faults: ReadonlyArray<Fault>
  readonly passes: number
  /** Where nobody passes unless something else went wrong: what. */
  readonly after?: readonly [point: string, fault: Fault]
}

const failing = ["generate.asked", "model-refused"] as const
const restarting = ["generate.token", "model-crash"] as const
const endless = ["generate.token", "model-endless"] as const
const throttling = ["send.arrived", "throttled"] as const
const losing = ["send.arrived", "answer-lost"] as const
const stopping = ["second", "sigterm"] as const
const cutting = ["message.written", "connection-cut"] as const

const asked = ["crash", "stall", "error", "connection-cut", "disk-full"] as const
const flushing = ["power-cut", "torn-write", "fsync-error", "postgres-kill"] as const
const written = ["crash", "stall", "connection-cut"] as const
const port = ["crash", "stall", "error"] as const

export const failpoints = {
  "inbound.posted": { threatens: "I2 I3", faults: ["duplicate", "delay", "reorder"], passes: 45 },
  "inbound.arrived": { threatens: "I1", faults: ["crash", "stall", "dropped"], passes: 45 },
  "inbound.accepted": { threatens: "I1 I2", faults: ["crash", "stall", "answer-lost"], passes: 45 },
  "accept.asked": { threatens: "I1 I5", faults: asked, passes: 40 },
  "accept.flushing": { threatens: "I1", faults: flushing, passes: 40 },
  "accept.written": { threatens: "I1 I2", faults: written, passes: 40 },
  "message.asked": { threatens: "I3 I4", faults: asked, passes: 40 },
  "message.flushing": { threatens: "I4", faults: flushing, passes: 40 },
  "message.written": { threatens: "I4 P1", faults: written, passes: 40 },
  "command.asked": { threatens: "I4", faults: asked, passes: 3 },
  "command.flushing": { threatens: "I4 P1", faults: flushing, passes: 3 },
  "command.written": { threatens: "I4 P1", faults: written, passes: 3 },
  "settle.asked": { threatens: "P2", faults: asked, passes: 15 },
  "settle.flushing": { threatens: "P2", faults: flushing, passes: 15 },
  "settle.written": { threatens: "P2", faults: written, passes: 15 },
  "finished.asked": { threatens: "P1 O1", faults: asked, passes: 25 },
  "finished.flushing": { threatens: "P1 O1", faults: flushing, passes: 25 },
  "finished.written": { threatens: "P1 O1", faults: written, passes: 25 },
  "failed.asked": { threatens: "P2 P4", faults: asked, passes: 2, after: failing },
  "failed.flushing": { threatens: "P2 P4", faults: flushing, passes: 2, after: failing },
  "failed.written": { threatens: "P2 P4", faults: written, passes: 2, after: failing },
  "restarted.asked": { threatens: "P1", faults: asked, passes: 2, after: restarting },
  "restarted.flushing": { threatens: "P1", faults: flushing, passes: 2, after: restarting },
  "restarted.written": { threatens: "P1", faults: written, passes: 2, after: restarting },
  "overdue.asked": { threatens: "P2", faults: asked, passes: 1, after: endless },
  "overdue.flushing": { threatens: "P2", faults: flushing, passes: 1, after: endless },
  "overdue.written": { threatens: "P2", faults: written, passes: 1, after: endless },
  "resumed.asked": { threatens: "P1 P3", faults: asked, passes: 3 },
  "resumed.flushing": { threatens: "P1 P3", faults: flushing, passes: 3 },
  "resumed.written": { threatens: "P1 P3", faults: written, passes: 3 },
  "attempt.asked": { threatens: "O2", faults: asked, passes: 30 },
  "attempt.flushing": { threatens: "O2", faults: flushing, passes: 30 },
  "attempt.written": { threatens: "O2", faults: written, passes: 30 },
  "delivered.asked": { threatens: "O2 O3", faults: asked, passes: 25 },
  "delivered.flushing": { threatens: "O2 O3", faults: flushing, passes: 25 },
  "delivered.written": { threatens: "O2", faults: written, passes: 25 },
  "undelivered.asked": { threatens: "O2 O4", faults: asked, passes: 4, after: throttling },
  "undelivered.flushing": { threatens: "O2 O4", faults: flushing, passes: 4, after: throttling },
  "undelivered.written": { threatens: "O2 O4", faults: written, passes: 4, after: throttling },
  "connect.asked": { threatens: "I3 P3", faults: ["crash", "stall", "error"], passes: 4 },
  "load.asked": { threatens: "I4 P3", faults: port, passes: 15 },
  "load.read": { threatens: "I3 P3", faults: port, passes: 15 },
  "due.asked": { threatens: "O1", faults: port, passes: 15 },
  "due.read": { threatens: "O1", faults: port, passes: 15 },
  "messages.asked": { threatens: "P1", faults: port, passes: 30 },
  "messages.read": { threatens: "P1", faults: port, passes: 30 },
  "back.asked": { threatens: "I1 P3", faults: port, passes: 3, after: cutting },
  "back.read": { threatens: "I1 P3", faults: port, passes: 3, after: cutting },
  "generate.asked": { threatens: "P1", faults: ["crash", "model-crash", "model-busy", "model-refused"], passes: 30 },
  "generate.token": {
    threatens: "P1 P2",
    faults: ["crash", "model-crash", "model-hang", "model-endless", "model-stall", "late-tokens"],
    passes: 300
  },
  "generate.finished": { threatens: "P1", faults: ["crash", "model-crash", "model-hang", "model-endless"], passes: 25 },
  "send.asked": { threatens: "O2", faults: ["crash", "stall", "dropped"], passes: 30 },
  "send.arrived": {
    threatens: "O2 O3 O4",
    faults: ["crash", "answer-lost", "throttled", "server-error", "rejected"],
    passes: 30
  },
  "send.answered": { threatens: "O2 O3", faults: ["crash", "stall"], passes: 28 },
  "find.asked": { threatens: "O3", faults: port, passes: 2, after: losing },
  "find.answered": { threatens: "O3", faults: port, passes: 2, after: losing },
  "sweep.due": { threatens: "O1 P2", faults: port, passes: 5 },
  "sweep.pending": { threatens: "I4 P2", faults: port, passes: 5 },
  "sweep.open": { threatens: "P2", faults: port, passes: 5 },
  "sweep.timers": { threatens: "P2", faults: port, passes: 120 },
  "sweep.census": { threatens: "I5", faults: port, passes: 120 },
  "drain.begun": { threatens: "I4 O1", faults: ["crash", "stall"], passes: 1, after: stopping },
  "drain.ended": { threatens: "I4 O1", faults: ["crash", "stall"], passes: 1, after: stopping },
  "start.begun": { threatens: "P3", faults: ["crash", "stall"], passes: 3 },
  second: {
    threatens: "I1–I5 P1–P3",
    faults: [
      "crash",
      "clock-jump",
      "freeze",
      "two-owners",
      "sigterm",
      "listener-lost",
      "postgres-kill",
      "power-cut",
      "disk-full",
      "model-crash"
    ],
    passes: 100
  }
} as const satisfies Readonly<Record<string, Failpoint>>

export type Point = keyof typeof failpoints
