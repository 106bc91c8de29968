/** What is typed, what is printed, and the exit code. */
import { spawnSync } from "node:child_process"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestConsole } from "effect/testing"
import { runCommand, StartTrouble } from "../../src/cli/command.ts"
import type { Config } from "../../src/cli/config-schema.ts"

const run = Effect.fnUntraced(
  function* (typed: string, given: { environment?: Record<string, string>; trouble?: StartTrouble } = {}) {
    let config: Config | undefined
    const code = yield* runCommand({
      typed: typed.split(" ").filter((word) => word !== ""),
      environment: given.environment ?? {},
      version: "1.2.3",
      start: (started) => {
        config = started
        return given.trouble ?? Effect.void
      },
      demo: () => Effect.die("nobody asked for it"),
      doctor: () => Effect.die("nobody asked for it"),
      interrupted: Effect.never
    })
    const out = (yield* TestConsole.logLines).join("\n")
    const error = (yield* TestConsole.errorLines).join("\n")
    return { code, config, error, out }
  },
  Effect.provide(Layer.fresh(TestConsole.layer)),
  Effect.provide(NodeServices.layer)
)

it.effect("`start` takes its flags before the environment", () =>
  Effect.gen(function* () {
    const environment = { PORT: "1", PARLEY_DATA: "there" }
    const { code, config, error } = yield* run("start --port 9000 --host 127.0.0.2", { environment })
    expect({ code, error }).toEqual({ code: 0, error: "" })
    expect(config).toMatchObject({ port: 9000, host: "127.0.0.2", dataDir: "there" })
    expect((yield* run("start --data=here", { environment })).config).toMatchObject({ port: 1, dataDir: "here" })
  })
)

it.effect("help and version are answers: on stdout, exit code 0", () =>
  Effect.gen(function* () {
    for (const typed of ["--help", "help", "-h"]) {
      expect(yield* run(typed)).toMatchObject({
        code: 0,
        error: "",
        out: expect.stringMatching(/start[\s\S]*help[\s\S]*version/)
      })
    }
    for (const typed of ["start --help", "help start"]) {
      expect(yield* run(typed)).toMatchObject({ code: 0, out: expect.stringMatching(/--config FILE[\s\S]*EXAMPLES/) })
    }
    for (const typed of ["--version", "version"]) {
      expect(yield* run(typed)).toMatchObject({ code: 0, out: expect.stringContaining("1.2.3") })
    }
  })
)

it.effect("`models` says how each of its commands is used, with its exit codes", () =>
  Effect.gen(function* () {
    for (const name of ["list", "pull", "use"]) {
      const asked = yield* run(`models ${name} --help`)
      expect(asked).toMatchObject({ code: 0, error: "", out: expect.stringMatching(/--data DIR[\s\S]*EXAMPLES/) })
      expect(yield* run(`help models ${name}`)).toEqual(asked)
    }
    expect((yield* run("models --help")).out).toMatch(/Exit codes: 0 .* 2 .* 78 .* 130 /)
    for (const typed of ["models", "models pul x", "models pull", "models use", "models pull x --sha 1"]) {
      expect(yield* run(typed)).toMatchObject({ code: 2 })
    }
  })
)

it.effect("what parley does not know is named with its nearest, exit code 2, and nothing starts", () =>
  Effect.gen(function* () {
    const cases = { strat: "start", "start --prot 1": "--port", hlep: "help", "start --prot=1": "--port" }
    for (const [typed, nearest] of Object.entries(cases)) {
      const { code, config, error, out } = yield* run(typed)
      expect({ code, config, out }).toEqual({ code: 2, config: undefined, out: "" })
      expect(error).toMatch(new RegExp(`Did you mean this\\? ${nearest}\nSee: parley.*--help$`))
    }
    for (const typed of ["start extra", "start --port", "start --port 1 --port 2", "frobnicate", ""]) {
      expect(yield* run(typed)).toMatchObject({ code: 2, config: undefined })
    }
  })
)

it.effect("a wrong configuration is exit code 78, with every problem", () =>
  Effect.gen(function* () {
    const { code, config, error } = yield* run("start --port abc", { environment: { HOST: "0.0.0.0", AI_DEBUG: "x" } })
    expect({ code, config }).toEqual({ code: 78, config: undefined })
    expect(error).toMatch(/^parley cannot start with this configuration:\n {2}--port .*`abc`\n {2}AI_DEBUG .*`x`$/)
    expect(yield* run("start --config /nowhere")).toMatchObject({
      code: 78,
      error: expect.stringContaining("/nowhere")
    })
  })
)

it.effect("trouble at start is one plain sentence, exit code 1 or its own", () =>
  Effect.gen(function* () {
    const trouble = new StartTrouble({ reason: "port 80 is taken: stop what listens there, or use --port" })
    expect(yield* run("start", { trouble })).toMatchObject({ code: 1, error: `parley cannot start: ${trouble.reason}` })
    expect((yield* run("start", { trouble: new StartTrouble({ reason: "x", exitCode: 75 }) })).code).toBe(75)
  })
)

it.effect("every command says how it is used, with an example and its exit codes", () =>
  Effect.gen(function* () {
    const commands = [
      ...["status", "conversations list", "inspect", "forget", "logs", "completion"],
      ...["list", "show", "replay", "discard"].map((name) => `deadletters ${name}`),
      ...["check", "show", "schema"].map((name) => `config ${name}`)
    ]
    for (const name of commands) {
      const { code, error, out } = yield* run(`${name} --help`)
      expect({ name, code, error }).toEqual({ name, code: 0, error: "" })
      expect([name, out.replace(/\s+/g, " ")]).toEqual([
        name,
        expect.stringMatching(/Exit codes: 0.*EXAMPLES # .* parley /)
      ])
    }
    const { out } = yield* run("--help")
    for (const name of ["status", "conversations", "inspect", "deadletters", "forget", "config", "logs", "completion"])
      expect(out).toMatch(new RegExp(`^  ${name} +\\S`, "m"))
  })
)

it.effect("the completions of each shell know every command, and that shell reads them", () =>
  Effect.gen(function* () {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { code, out } = yield* run(`completion ${shell}`)
      expect(code).toBe(0)
      for (const word of ["deadletters", "replay", "conversations", "completion", "--json"].filter(
        (word) => shell !== "fish" || !word.startsWith("--")
      ))
        expect([shell, out]).toEqual([shell, expect.stringContaining(word)])
      if (shell === "bash") expect(spawnSync("bash", ["-n"], { input: out, encoding: "utf8" }).stderr).toBe("")
    }
    expect(yield* run("completion csh")).toMatchObject({ code: 2 })
  })
)
