/** What an operator may say of several models, and what he reads where it is wrong. */
import { Result } from "effect"
import { expect, test } from "vitest"
import { parseConfig } from "../../src/cli/config.ts"
import { bytesOf, durationMsOf } from "../../src/domain/amounts.ts"

const parse = (text: string) => parseConfig({ file: { name: "parley.yaml", text }, environment: {}, flags: {} })
const accepted = (text: string) => Result.getOrThrowWith(parse(text), (error) => new Error(error.message))

function refused(text: string): ReadonlyArray<string> {
  const result = parse(text)
  return Result.isFailure(result) ? result.failure.problems : []
}

const channel = `  - kind: webhook
    account: demo
    secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
    callback: http://127.0.0.1:9999/replies
`

test("a channel that names no model of the list is told which there are", () => {
  const models = "models: [{name: small, engine: llama, file: a}, {name: large, engine: llama, file: b}]\n"
  expect(refused(`${models}web: {model: huge}`)).toEqual([
    "web.model (parley.yaml:2): there is no model `huge`; there is: small, large"
  ])
  expect(refused(`${models}channels:\n${channel}    model: lareg\n`)).toEqual([
    expect.stringMatching(
      /^channels\[0\]\.model \(parley\.yaml:\d+\): there is no model `lareg`; there is: small, large$/
    )
  ])
  expect(accepted(`${models}web: {model: large}`).web.model).toBe("large")
  expect(accepted("web: {model: built-in}").web.model).toBe("built-in")
})

test("how long a model is kept, and how much memory all may have", () => {
  const model = (keepAlive: string) => `models: [{engine: llama, file: a, keepAlive: ${keepAlive}}]`
  for (const keepAlive of ["0", "always", "10m", "1.5h", "90 s"]) accepted(model(keepAlive))
  for (const keepAlive of ["10", "-1m", "ten", "''", "1m30s", "999999999h"]) {
    expect(refused(model(keepAlive))).toEqual([expect.stringContaining("models[0].keepAlive")])
  }
  expect(accepted("limits: {modelsMemory: 8GiB}").limits.modelsMemory).toBe("8GiB")
  for (const size of ["8", "8 gigs", "0GiB", "-1GiB"]) {
    expect(refused(`limits: {modelsMemory: "${size}"}`)).toEqual([expect.stringContaining("a size such as `8GiB`")])
  }
})

test("times and sizes are what they say", () => {
  const times = ["0", "250ms", "90 s", "1.5h", "2d", "always", 0].map(durationMsOf)
  expect(times).toEqual([0, 250, 90_000, 5_400_000, 172_800_000, Number.POSITIVE_INFINITY, 0])
  expect(["8GiB", "1.5 MiB", "2KB", "3GB"].map(bytesOf)).toEqual([8 * 1024 ** 3, 1.5 * 1024 ** 2, 2_000, 3e9])
  expect(["constructor", "1constructor", "10", "1 2 s", ""].map(durationMsOf)).toEqual(Array(5).fill(undefined))
})
