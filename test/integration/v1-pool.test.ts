/** A whole server whose model is two other servers, one of which goes away and comes back. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import type { Health } from "../../src/http/health.ts"
import { startModelServer } from "./model-server.ts"
import { open, saying } from "./v1-bench.ts"

const model = (port = 0) =>
  Effect.acquireRelease(
    Effect.promise(() => startModelServer({ port, delayMs: 2 })),
    ({ close }) => Effect.promise(close)
  )

it.live("everybody is answered though one server goes, and the operator sees which, and since when", () =>
  Effect.gen(function* () {
    const first = yield* model()
    const second = yield* model()
    const { address, client } = yield* open(
      `models: [{ name: echo, engine: openai, baseUrls: ["${first.url}", "${second.url}"], slots: 4 }]\n`
    )
    const health = async () => (await (await fetch(`${address}/health/ready`)).json()) as Health
    const metric = async (name: string) => {
      const text = await (await fetch(`${address}/metrics`)).text()
      return [...text.matchAll(new RegExp(`^${name}{model="echo",server="(.*)"} (\\d+)$`, "gm"))].map(
        ([, server, value]) => [server, value]
      )
    }
    const ask = async (count: number) => {
      const texts = Array.from({ length: count }, (_, nth) => `number ${nth}`)
      const answers = await Promise.all(texts.map((text) => client.chat.completions.create(saying(text))))
      const said = answers.map(({ choices }) => choices[0]?.message.content)
      expect(said).toEqual(texts.map((text) => `echo: ${text}`))
    }
    yield* Effect.promise(async () => {
      await ask(40)
      for (const { stats } of [first, second]) expect(stats().finished).toBeGreaterThan(0)
      expect(await metric("parley_server_up")).toEqual([first.url, second.url].map((url) => [url, "1"]))
      const asking = ask(40)
      await second.close()
      await asking
      await expect
        .poll(() => metric("parley_server_up"))
        .toEqual([
          [first.url, "1"],
          [second.url, "0"]
        ])
      expect((await health()).models[0]!.servers).toMatchObject([
        { server: first.url, state: "up", inFlight: 0 },
        { server: second.url, state: expect.stringMatching(/server|reached/), since: expect.stringMatching(/^\d{4}-/) }
      ])
    })
    const again = yield* model(second.port)
    yield* Effect.promise(async () => {
      await expect.poll(() => metric("parley_server_up"), { timeout: 60_000 }).toContainEqual([again.url, "1"])
      await ask(20)
      expect(again.stats().finished).toBeGreaterThan(0)
    })
  })
)
