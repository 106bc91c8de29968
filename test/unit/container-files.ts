/** The Dockerfile and the files beside it, read as what they are. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { DockerfileParser, type Flag, type Instruction } from "dockerfile-ast"
import type { Result } from "effect"
import { parse } from "yaml"
import { type ConfigError, parseConfig } from "../../src/cli/config.ts"
import type { Config } from "../../src/cli/config-schema.ts"

export const root = join(import.meta.dirname, "../..")
export const read = (path: string) => readFileSync(join(root, path), "utf8")
export const yaml = (path: string) => parse(read(path))

export interface Step {
  readonly keyword: string
  readonly flags: Readonly<Record<string, string>>
  readonly values: ReadonlyArray<string>
}

export interface Stage {
  readonly name: string
  /** An image with its tag, or the name of another stage. */
  readonly from: string
  readonly steps: ReadonlyArray<Step>
}

/** The stages of docker/Dockerfile for a variant; the last one is the image. */
export function stagesOf(variant: "cpu" | "cuda"): ReadonlyArray<Stage> {
  const instructions = DockerfileParser.parse(read("docker/Dockerfile")).getInstructions()
  const steps = instructions.map((instruction) => stepOf(instruction, variant))
  const starts = steps.flatMap(({ keyword }, index) => (keyword === "FROM" ? [index] : []))
  return starts.map((start, n) => {
    const [from = "", , name = ""] = steps[start]!.values
    return { name, from, steps: steps.slice(start + 1, starts[n + 1]) }
  })
}

function stepOf(instruction: Instruction, variant: string): Step {
  const given = "getFlags" in instruction ? (instruction.getFlags as () => ReadonlyArray<Flag>)() : []
  const flags = Object.fromEntries(given.map((flag) => [flag.getName(), flag.getValue() ?? ""]))
  const words = instruction.getArguments().map((word) => word.getValue())
  const values = words.filter((word) => !word.startsWith("--") || instruction.getKeyword() === "RUN")
  return { keyword: instruction.getKeyword(), flags, values: values.map((value) => filled(value, variant)) }
}

const filled = (value: string, variant: string) => value.replaceAll("${" + "VARIANT}", variant)

export const imageOf = (variant: "cpu" | "cuda") => stagesOf(variant).at(-1)!
export const stepsOf = ({ steps }: Stage, keyword: string) => steps.filter((step) => step.keyword === keyword)

/** What ENV says in the image. */
export function environmentOf(stage: Stage): Readonly<Record<string, string>> {
  const pairs = stepsOf(stage, "ENV").flatMap(({ values }) => values)
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]))
}

/** The configuration that the server would make of a file and an environment. */
export function configOf(
  text: string,
  environment: Readonly<Record<string, string>>
): Result.Result<Config, ConfigError> {
  return parseConfig({ file: { name: "parley.yaml", text }, environment, flags: {} })
}
