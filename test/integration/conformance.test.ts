/** The kit can fail: each of these adapters breaks one promise, and exactly the checks that are named notice it. */
import { Effect, Result } from "effect"
import { expect, test } from "vitest"
import { type Adapter, Ambiguous, NotSent } from "../../src/adapters/adapter.ts"
import { checksOf } from "./conformance.ts"
import { sealed, secret, webhookHarness } from "./webhook-bench.ts"

const acknowledged = { conversation: "", position: 0, duplicate: false }

interface Broken {
  readonly what: string
  readonly disturb: (adapter: Adapter) => Adapter
  /** How the titles of the checks that fail begin. */
  readonly caughtBy: ReadonlyArray<string>
}

const brokenOnes: ReadonlyArray<Broken> = [
  {
    what: "acknowledges before the event is durable",
    disturb: (adapter) => ({
      ...adapter,
      listen: (accept) =>
        adapter.listen((inbound) =>
          Effect.as(Effect.forkDetach(accept(inbound), { startImmediately: true }), acknowledged)
        )
    }),
    caughtBy: ["I1: an event is acknowledged after", "I2: an event that is delivered twice", "I5: what cannot be kept"]
  },
  {
    what: "ignores that an event could not be kept",
    disturb: (adapter) => ({
      ...adapter,
      listen: (accept) => adapter.listen((inbound) => Effect.orElseSucceed(accept(inbound), () => acknowledged))
    }),
    caughtBy: ["I5: what cannot be kept"]
  },
  {
    what: "asks again too early",
    disturb: ({ receive, ...adapter }) => ({
      ...adapter,
      receive: (request) => Effect.map(receive!(request), (answer) => ({ ...answer, headers: { "retry-after": "1" } }))
    }),
    caughtBy: ["I5: what cannot be kept"]
  },
  {
    what: "drops what it has seen before",
    disturb: (adapter) => {
      const seen = new Set<string>()
      return {
        ...adapter,
        listen: (accept) =>
          adapter.listen((inbound) => {
            if (seen.has(inbound.eventKey)) return Effect.succeed({ ...acknowledged, duplicate: true })
            seen.add(inbound.eventKey)
            return accept(inbound)
          })
      }
    },
    caughtBy: ["I2: an event that is delivered twice", "I5: what cannot be kept"]
  },
  {
    what: "gives each delivery a key of its own",
    disturb: (adapter) => {
      let nth = 0
      return {
        ...adapter,
        listen: (accept) =>
          adapter.listen((inbound) => accept({ ...inbound, eventKey: `${inbound.eventKey}-${nth++}` }))
      }
    },
    caughtBy: ["I2: an event that is delivered twice"]
  },
  {
    what: "hands over in another order",
    disturb: (adapter) => {
      let nth = 0
      return {
        ...adapter,
        listen: (accept) =>
          adapter.listen((inbound) =>
            nth++ === 0 ? Effect.andThen(Effect.yieldNow, accept(inbound)) : accept(inbound)
          )
      }
    },
    caughtBy: ["I3: events are handed over"]
  },
  {
    what: "listens on when its scope has closed",
    disturb: (adapter) => ({
      ...adapter,
      listen: (accept) =>
        Effect.andThen(
          Effect.forkDetach(Effect.scoped(adapter.listen(accept)), { startImmediately: true }),
          Effect.never
        )
    }),
    caughtBy: ["I5: nothing is acknowledged by an account that does not listen"]
  },
  {
    what: "believes whoever calls",
    disturb: ({ receive, ...adapter }) => ({
      ...adapter,
      receive: ({ body, headers }) =>
        Effect.flatMap(sealed(headers["webhook-id"]?.replace(/[^!-~]/g, "") || "none", body), receive!)
    }),
    caughtBy: [
      "a request of which one byte",
      "a request without one of its signed headers",
      "a request is good for as long"
    ]
  },
  {
    what: "tells its secret",
    disturb: ({ receive, ...adapter }) => ({
      ...adapter,
      receive: (request) =>
        Effect.map(receive!(request), (answer) =>
          answer.status === 401 ? { ...answer, body: `the key is ${secret}` } : answer
        )
    }),
    caughtBy: [
      "a request of which one byte",
      "a request without one of its signed headers",
      "a request is good for as long"
    ]
  },
  {
    what: "takes a new key for each attempt",
    disturb: (adapter) => {
      let nth = 0
      return { ...adapter, send: (outbound) => adapter.send({ ...outbound, key: `${outbound.key}-${nth++}` }) }
    },
    caughtBy: ["O1: what is sent arrives once", "O3: a repetition has the same key"]
  },
  {
    what: "writes another body for each attempt",
    disturb: (adapter) => {
      let nth = 0
      return { ...adapter, send: (outbound) => adapter.send({ ...outbound, inReplyTo: [`${nth++}`] }) }
    },
    caughtBy: ["O3: a repetition has the same key"]
  },
  {
    what: "swallows 429",
    disturb: (adapter) => ({
      ...adapter,
      send: (outbound) => Effect.catchTag(adapter.send(outbound), "Throttled", () => Effect.succeed(""))
    }),
    caughtBy: ["O4: a pause that the platform asks for"]
  },
  {
    what: "calls what is ambiguous not sent",
    disturb: (adapter) => ({
      ...adapter,
      send: (outbound) =>
        Effect.catchTag(adapter.send(outbound), "Ambiguous", ({ reason }) => Effect.fail(new NotSent({ reason })))
    }),
    caughtBy: ["O2: a connection that is cut after", "O2: so is one that was kept", "O2: no answer within"]
  },
  {
    what: "repeats by itself",
    disturb: (adapter) => ({
      ...adapter,
      send: (outbound) => Effect.retry(adapter.send(outbound), { times: 1 })
    }),
    caughtBy: ["O2", "O3: a repetition", "O4"]
  },
  {
    what: "is impatient",
    disturb: (adapter) => ({
      ...adapter,
      send: (outbound) =>
        Effect.timeoutOrElse(adapter.send(outbound), {
          duration: 5_000,
          orElse: () => Effect.fail(new Ambiguous({ reason: "too slow" }))
        })
    }),
    caughtBy: ["O2: no answer within"]
  },
  {
    what: "waits for longer than it says",
    disturb: (adapter) => ({ ...adapter, limits: { ...adapter.limits, sendMaxMs: 5_000 } }),
    caughtBy: ["O2: no answer within"]
  }
]

test.each(brokenOnes)("the kit notices an adapter that $what", async ({ caughtBy, disturb }) => {
  const failed: Array<string> = []
  for (const { run, title } of checksOf({ harness: webhookHarness(disturb), isHttp: true })) {
    const result = await Effect.runPromise(Effect.result(Effect.tryPromise(run)))
    if (Result.isFailure(result)) failed.push(title)
  }
  const unnoticed = caughtBy.filter((start) => !failed.some((title) => title.startsWith(start)))
  const unexpected = failed.filter((title) => !caughtBy.some((start) => title.startsWith(start)))
  expect({ unnoticed, unexpected }).toEqual({ unnoticed: [], unexpected: [] })
})

test("no two checks have one title, so that each can be named", () => {
  const titles = checksOf({ harness: webhookHarness(), isHttp: true }).map(({ title }) => title)
  expect(new Set(titles).size).toBe(titles.length)
})
