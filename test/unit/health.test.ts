/** What everybody who reaches the port is told of a server's health. */
import { expect, test } from "vitest"
import { type Health, publicHealth } from "../../src/http/health.ts"

const model = {
  name: "ours",
  engine: "llama",
  state: "broken",
  isUsable: false,
  why: "/srv/secret/model.gguf is not there",
  since: "2026-11-22T00:00:00.000Z",
  loads: 0,
  deaths: 0
} as unknown as Health["models"][number]

const health = (parts: Health["parts"], state: string): Health => ({
  ready: false,
  durability: "strict",
  parts,
  models: [{ ...model, state } as Health["models"][number]]
})

const told = (parts: Health["parts"], state: string) => publicHealth(health(parts, state)).parts

test("a word a part, and nothing of what they say of themselves", () => {
  const up = { database: "up", model: "up", "web/chat": "up" }
  expect(told(up, "ready")).toEqual({ database: "up", model: "up", channels: "up" })
  const refused = { ...up, database: "connect ECONNREFUSED 10.1.2.3:5432" }
  expect(told(refused, "ready")).toEqual({ database: "down", model: "up", channels: "up" })
  const broken = { ...up, model: "/srv/secret/model.gguf is not there" }
  expect(told(broken, "broken")).toEqual({ database: "up", model: "down", channels: "up" })
  expect(told({ ...up, model: "it is being loaded" }, "loading")).toMatchObject({ model: "starting" })
  const opening = { ...up, "webhook/customer-9": "it is being opened" }
  expect(told(opening, "ready")).toEqual({ database: "up", model: "up", channels: "starting" })
  expect(JSON.stringify(publicHealth(health(broken, "broken")))).not.toMatch(/secret|ours|gguf/)
  expect(JSON.stringify(publicHealth(health(opening, "ready")))).not.toContain("customer-9")
})
