/** The addresses of a model that other servers run. */
import { Result } from "effect"
import { expect, test } from "vitest"
import { parseConfig } from "../../src/cli/config.ts"

const parse = (text: string) => parseConfig({ file: { name: "parley.yaml", text }, environment: {}, flags: {} })

function refused(text: string): ReadonlyArray<string> {
  const result = parse(text)
  return Result.isFailure(result) ? result.failure.problems : []
}

test("a model may be several servers, each of them once, and beside no other address", () => {
  const urls = (more: string) => `models:\n  - {engine: openai, ${more}}\n`
  const [a, b] = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]
  expect(Result.getOrThrow(parse(urls(`baseUrls: ["${a}", "${b}"]`))).models).toMatchObject([
    { baseUrls: [a, b], slots: 16 }
  ])
  const problem = (more: string) => refused(urls(more))
  expect(problem("slots: 1")).toEqual([expect.stringMatching(/^models\[0\] \(parley\.yaml:2\): `baseUrl` is missing/)])
  expect(problem(`baseUrl: "${a}", baseUrls: ["${b}"]`)).toEqual([
    expect.stringMatching(/there is a `baseUrl` as well/)
  ])
  const twice = [expect.stringMatching(/^models\[0\]\.baseUrls\[1\] .* there twice$/)]
  expect(problem(`baseUrls: ["${a}", "${a}/"]`)).toEqual(twice)
  expect(problem("baseUrls: []")).toEqual([expect.stringMatching(/expected a list of 1 to 64 addresses/)])
})
