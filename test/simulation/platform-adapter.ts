/** The adapter of a simulated platform, in one process: the platform's network is what goes wrong. */
import { Effect } from "effect"
import type { Accept, Adapter } from "../../src/adapters/adapter.ts"
import {
  Ambiguous,
  type DeliveryClass,
  Disconnected,
  NotSent,
  Rejected,
  Throttled
} from "../../src/adapters/adapter.ts"
import type { Outbound } from "../../src/domain/outbound.ts"
import type { Dice } from "./dice.ts"
import type { Fault, Point } from "./failpoints.ts"
import type * as History from "./history.ts"
import type { Platform, Post, Reply, SendReply } from "./platform.ts"
import type { SimulatedProcess } from "./simulated-process.ts"
import type { Timeline } from "./timeline.ts"

export interface AdapterParts {
  readonly process: SimulatedProcess
  readonly platform: Platform
  readonly timeline: Timeline
  readonly dice: Dice
  readonly pass: (point: Point) => Fault | undefined
  readonly observe: (observation: History.Observation) => void
  /** Called with what makes the listener lose its connection. */
  readonly listening: (lose: () => void) => void
}

const classes: Readonly<Record<History.DeliveryClass, DeliveryClass>> = {
  A: "idempotent",
  B: "readable",
  C: "editable",
  D: "none"
}

const sendMaxMs = 10_000
const stallMs = 5_000
export const channel = "sim"

export function adapterOf(parts: AdapterParts): Adapter {
  const { observe, platform, process, timeline } = parts
  const { account } = platform
  return {
    channel,
    account,
    delivery: classes[platform.class],
    limits: { textMax: 4_000, textUnit: "utf8-bytes", sendMaxMs },
    capabilities: { edit: platform.class === "C", typing: false, attachments: false },
    listen: (accept) =>
      Effect.andThen(
        Effect.acquireRelease(
          Effect.sync(() =>
            platform.openDoor(process.name, (post, reply) => process.hear(() => hear(parts, accept, post, reply)))
          ),
          (close) => Effect.sync(close)
        ),
        Effect.callback<never, Disconnected>((resume) =>
          parts.listening(() => process.hear(() => resume(Effect.fail(new Disconnected({ reason: "reset" })))))
        )
      ),
    show: (thread, glimpse) => {
      if (!process.isAlive || glimpse.type !== "text") return
      observe({ ...glimpse, type: "glimpsed", atMs: timeline.nowMs, process: process.name, account, thread })
    },
    send: (outbound) => send(parts, outbound),
    ...(platform.class === "B" && { find: ({ key }: Outbound) => find(parts, key) })
  }
}

function hear(
  { dice, pass, platform, process, timeline }: AdapterParts,
  accept: Accept,
  post: Post,
  reply: (reply: Reply) => void
) {
  const fault = pass("inbound.arrived")
  if (fault === "crash") return process.crash()
  if (fault === "dropped") return
  const { key: eventKey, text, thread, user } = post
  const inbound = { channel, account: platform.account, eventKey, thread, user: { id: user }, text }
  const tell = (answer: Reply) => {
    if (!process.isAlive) return
    const onTheWay = typeof answer === "string" ? pass("inbound.accepted") : undefined
    if (onTheWay === "crash") return process.crash()
    if (onTheWay === "answer-lost") return
    timeline.after(onTheWay === "stall" ? stallMs : dice.int(0, 3), () => reply(answer))
  }
  const take = Effect.match(accept(inbound), {
    onSuccess: ({ duplicate }) => tell(duplicate ? "duplicate" : "accepted"),
    onFailure: ({ retryAfterMs }) => tell({ retryAfterMs })
  })
  timeline.after(fault === "stall" ? stallMs : 0, () => process.hear(() => void process.run(take)))
}

function send({ dice, pass, platform, process, timeline }: AdapterParts, outbound: Outbound) {
  return Effect.callback<string, NotSent | Rejected | Throttled | Ambiguous>((resume) => {
    if (!process.isAlive) return
    const asked = pass("send.asked")
    if (asked === "crash") return process.crash()
    const tell = (effect: Effect.Effect<string, NotSent | Rejected | Throttled | Ambiguous>) =>
      process.hear(() => resume(effect))
    if (asked === "dropped") {
      const reason = "connect ECONNREFUSED"
      return void timeline.after(5, () => tell(Effect.fail(new NotSent({ reason }))))
    }
    const { conversation: _, ...sent } = outbound
    timeline.after(asked === "stall" ? stallMs : dice.int(5, 150), () => {
      // What of a killed process is seconds late was lost with its connection.
      if (asked === "stall" && !process.isAlive) return
      const arrived = pass("send.arrived")
      if (arrived === "crash") process.crash()
      const isHeard = process.isAlive && arrived !== "answer-lost"
      const reply = platform.receive(sent, isHeard, arrived)
      if (arrived === "answer-lost")
        return void timeline.after(sendMaxMs, () => tell(Effect.fail(new Ambiguous({ reason: "no answer in time" }))))
      const answered = pass("send.answered")
      if (answered === "crash") return process.crash()
      timeline.after(answered === "stall" ? stallMs : dice.int(1, 30), () => tell(effectOf(reply)))
    })
  })
}

function effectOf(reply: SendReply): Effect.Effect<string, NotSent | Rejected | Throttled | Ambiguous> {
  switch (reply.is) {
    case "shown":
      return Effect.succeed(reply.receipt)
    case "throttled":
      return Effect.fail(new Throttled(reply))
    case "failed":
      return Effect.fail(new NotSent({ reason: "503" }))
    case "rejected":
      return Effect.fail(new Rejected({ status: 410, reason: "gone" }))
  }
}

function find({ dice, pass, platform, process, timeline }: AdapterParts, key: string) {
  return Effect.callback<string | undefined, NotSent>((resume) => {
    if (!process.isAlive) return
    const asked = pass("find.asked")
    if (asked === "crash") return process.crash()
    const lost = () => process.hear(() => resume(Effect.fail(new NotSent({ reason: "read ECONNRESET" }))))
    if (asked === "error") return void timeline.after(5, lost)
    timeline.after(asked === "stall" ? stallMs : dice.int(5, 50), () => {
      const receipt = platform.find(key)
      const answered = pass("find.answered")
      if (answered === "crash") return process.crash()
      if (answered === "error") return lost()
      timeline.after(answered === "stall" ? stallMs : 5, () => process.hear(() => resume(Effect.succeed(receipt))))
    })
  })
}
