/** The tools of the kill tests keep their own word. */
import { spawn } from "node:child_process"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { Effect, Redacted } from "effect"
import fc from "fast-check"
import { expect, test } from "vitest"
import { NotAccepted } from "../../src/adapters/adapter.ts"
import { sign } from "../../src/adapters/webhook/signature.ts"
import { openWebhook } from "../../src/adapters/webhook/webhook.ts"
import { type Delivery, planned } from "./callback-server.ts"
import { intakeOf, outboundOf } from "./conformance-bench.ts"
import { makeSender } from "./sender.ts"
import { key, secret } from "./webhook-bench.ts"

const limits = { secret, retryMs: 1, attemptMaxMs: 5_000, eventMaxMs: 20_000 }
const event = { id: "event-1", conversation: "thread-1", user: { id: "user-1" }, text: "hello" }

/** A webhook account behind HTTP whose first answers go wrong. */
const account = Effect.gen(function* () {
  const refusal = new NotAccepted({ reason: "database", retryAfterMs: 60_000 })
  const intake = intakeOf((nth) => (nth === 1 ? Effect.fail(refusal) : Effect.void))
  const adapter = yield* openWebhook({ account: "a", secret: Redacted.make(secret), callback: "http://127.0.0.1:1/" })
  yield* Effect.forkScoped(adapter.listen(intake.accept), { startImmediately: true })
  let requests = 0
  const server = http.createServer(async (request, response) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk)
    requests++
    if (requests === 1) return response.destroy()
    const headers = request.headers as Record<string, string>
    const answer = await Effect.runPromise(adapter.receive!({ headers, body: Buffer.concat(chunks) }))
    // The third is kept, and its acknowledgement lost.
    if (requests === 3) return response.destroy()
    return response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => Effect.sync(() => server.close())
  )
  return { intake, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/webhook/a` }
})

test("the sender repeats an event, with its id, until it is acknowledged", () =>
  Effect.gen(function* () {
    const { intake, url } = yield* account
    const sender = makeSender({ ...limits, url })
    expect(yield* sender.send(event)).toMatchObject({ id: "event-1", attempts: 4, duplicate: true })
    expect(yield* sender.send(event)).toMatchObject({ attempts: 1, duplicate: true })
    expect(sender.acknowledgements()).toHaveLength(2)
    expect(new Set(intake.received.map(({ eventKey }) => eventKey))).toEqual(new Set(["event-1"]))
    expect(yield* Effect.flip(sender.send({ ...event, text: "" }))).toMatchObject({ _tag: "Refused", status: 422 })
  }).pipe(Effect.scoped, Effect.runPromise))

test("the sender gives up after `eventMaxMs`", () =>
  Effect.gen(function* () {
    const sender = makeSender({ ...limits, url: "http://127.0.0.1:1/", eventMaxMs: 20 })
    expect(yield* Effect.flip(sender.send(event))).toMatchObject({ _tag: "Unacknowledged", id: "event-1" })
  }).pipe(Effect.runPromise))

test("a plan of faults is the same for the same seed, and has an end", () => {
  const plan = fc.record({
    seed: fc.string(),
    before: fc.constant(0.3),
    after: fc.constant(0.2),
    attemptsMax: fc.nat(3)
  })
  fc.assert(
    fc.property(plan, fc.string(), fc.integer({ min: 1, max: 5 }), (plan, key, attempt) => {
      const fate = planned(plan)(key, attempt)
      expect(planned(plan)(key, attempt)).toBe(fate)
      if (attempt > plan.attemptsMax) expect(fate).toBe("take")
    })
  )
  const fateOf = planned({ seed: "s", before: 0.3, after: 0.2, attemptsMax: 1 })
  const fates = Array.from({ length: 4_000 }, (_, nth) => fateOf(`msg_${nth}`, 1))
  const share = (...names: ReadonlyArray<string>) => fates.filter((fate) => names.includes(fate)).length / fates.length
  expect(share("take")).toBeCloseTo(0.5, 1)
  expect(share("cut-after", "error-after", "late")).toBeCloseTo(0.2, 1)
  expect(new Set(fates).size).toBe(9)
})

test("the callback server runs by itself, and tells what it saw", { timeout: 20_000 }, async () => {
  const file = fileURLToPath(new URL("callback-server.ts", import.meta.url))
  const env = { ...process.env, CALLBACK_SECRET: secret }
  const server = spawn(process.execPath, [file, "0"], { env, stdio: ["ignore", "pipe", "inherit"] })
  const ended = new Promise<number | null>((resume) => server.once("exit", resume))
  const line = await new Promise<string>((resume) => server.stdout.once("data", (chunk) => resume(String(chunk))))
  const base = `http://127.0.0.1:${(JSON.parse(line) as { readonly listening: number }).listening}`

  const nowMs = performance.timeOrigin + performance.now()
  const post = (headers: Record<string, string>, body: string) =>
    fetch(`${base}/replies`, { method: "POST", headers, body })
  const { key: id } = outboundOf(1)
  for (const body of ["{}", "{}"]) expect((await post(sign(key, id, nowMs, body), body)).status).toBe(204)
  expect((await post(sign(key, id, nowMs, "{}"), "{ }")).status).toBe(401)

  const deliveries = (await (await fetch(`${base}/deliveries`)).json()) as ReadonlyArray<Delivery>
  expect(deliveries.map(({ attempt, body, fate, key, shown }) => ({ attempt, body, fate, key, shown }))).toEqual([
    { attempt: 1, body: "{}", fate: "take", key: id, shown: true },
    { attempt: 2, body: "{}", fate: "take", key: id, shown: false },
    { attempt: 1, body: "{ }", fate: "unsigned", key: "", shown: false }
  ])
  server.kill("SIGTERM")
  expect(await ended).not.toBe(null)
})
