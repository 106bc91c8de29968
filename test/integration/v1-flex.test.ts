/** `service_tier: "flex"`: it stands back, and makes way. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { saying, untilLoad, v1 } from "./v1-bench.ts"

it.live("flex makes way for others, and is begun again", () =>
  Effect.gen(function* () {
    const server = yield* v1({ slots: 1 })
    const { completions } = server.client.chat
    yield* Effect.promise(async () => {
      const held = new AbortController()
      const flex = completions.create({ ...saying("!hang 2"), service_tier: "flex" }, { signal: held.signal })
      await untilLoad(server, 1, 0)
      const { choices } = await completions.create(saying("second"))
      expect(choices[0]?.message.content).toBe("echo: second")
      await untilLoad(server, 1, 0)
      expect(await (await fetch(`${server.address}/metrics`)).text()).toContain(
        'parley_turns_preempted_total{model="echo"} 1\n'
      )
      held.abort()
      await expect(flex).rejects.toThrow()
    })
  })
)
