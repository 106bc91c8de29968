/** The model of a file: what it is, whether it fits into this machine, and how fast it answers here. */
import { loadavg } from "node:os"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { wholeCores } from "../../inference/control-group.ts"
import type { Engine } from "../../inference/engine.ts"
import { type GgufHead, readGgufHead } from "../../inference/gguf-head.ts"
import { type MemoryNeeded, type ModelShape, memoryNeeded, shapeOf } from "../../inference/memory-needed.ts"
import { readableTokensPerSecond } from "../../inference/model-sizes.ts"
import { builtIn, type LlamaSpec, openSpec } from "../../inference/models.ts"
import { measureSpeed } from "../../inference/speed.ts"
import { threadWords } from "../../inference/step-stats.ts"
import type { Config, ModelConfig } from "../config-schema.ts"
import { bytesText, countText, rounded } from "../quantity.ts"
import { type Finding, type Findings, ok } from "./finding.ts"
import { type Machine, processorName } from "./machine.ts"
import { checkModelServers } from "./model-server-check.ts"
import { sizesFinding } from "./model-sizes-finding.ts"
import type { Site } from "./site.ts"

const fileMend = "Put a whole GGUF file of a chat model there, or name another one: PARLEY_MODEL=<file> npm start"

export const checkModel = Effect.fn("checkModel")(function* (
  site: Site
): Effect.fn.Return<Findings, never, Scope.Scope> {
  const { config, machine } = site
  const [first, ...others] = config.models
  const rest = (yield* Effect.forEach(others, otherModel)).flat()
  if (first?.engine === "openai") return [...(yield* checkModelServers(first)), ...rest]
  const spec = first ?? builtIn
  const read = yield* Effect.result(readGgufHead(spec.file))
  if (Result.isFailure(read)) return [badFile(spec.file, read.failure.problem), ...rest]
  const { fileBytes, head } = read.success
  if (fileBytes < head.endBytes) return [cutOff(spec.file, fileBytes, head), ...rest]
  const shape = shapeOf(head)
  const needed = memoryNeeded(head.weightBytes, shape, spec)
  const isLoaded = site.server?.isOurs === true && site.server.parts["model"] === "up"
  const memory = memoryFinding({ needed, spec, machine, isLoaded })
  const known = [
    file(spec, head, shape, fileBytes),
    ...(first === undefined ? [guide] : []),
    context(spec, shape),
    memory
  ]
  const { chosen, findings: speed } = yield* speedOf(site, spec, memory)
  const threadsMax =
    chosen.length === 0 ? (spec.threads ?? wholeCores()) : Math.max(...chosen.map((one) => one.threads))
  const tokensPerSecond = speed.flatMap(({ figures }) => figures?.["tokensPerSecond"] ?? [])[0]
  // Another model would take the place of the one that is loaded.
  const freeBytes = machine.freeBytes + (isLoaded ? needed.bytes : 0)
  const { weightBytes } = head
  const sizes = yield* sizesFinding({ freeBytes, spec, tokensPerSecond, weightBytes, threads: threadsMax })
  return [
    ...known,
    threads(threadsMax, machine, { chosen: threadWords(chosen), configured: spec.threads }),
    ...speed,
    ...late(tokensPerSecond, config),
    sizes,
    ...rest
  ]
})

/** Its speed is not measured: it is loaded when it is asked. */
const otherModel = Effect.fnUntraced(function* (model: ModelConfig) {
  if (model.engine === "openai") return yield* checkModelServers(model)
  const read = yield* Effect.result(readGgufHead(model.file))
  if (Result.isFailure(read)) return [badFile(model.file, read.failure.problem)]
  const { fileBytes, head } = read.success
  if (fileBytes < head.endBytes) return [cutOff(model.file, fileBytes, head)]
  const needed = memoryNeeded(head.weightBytes, shapeOf(head), model)
  const saw = `${model.name} is ${model.file}; while it is loaded it needs ${bytesText(needed.bytes)}.`
  return [{ ...ok("model.other", saw), figures: { neededBytes: needed.bytes } }]
})

function badFile(path: string, problem: string): Finding {
  const id = problem.startsWith("is not there") ? "model.missing" : "model.unreadable"
  return { id, level: "trouble", saw: `${path} ${problem}.`, mend: fileMend }
}

const cutOff = (path: string, fileBytes: number, { endBytes }: GgufHead): Finding => ({
  id: "model.cut-off",
  level: "trouble",
  saw: `${path} is cut off: it has ${bytesText(fileBytes)} of ${bytesText(endBytes)}.`,
  mend: "Download it again, to its end; the disk may be full."
})

const guide: Finding = {
  id: "model.built-in",
  level: "note",
  saw: "No model is configured: the built-in guide answers, which knows Parley and little else.",
  mend: "Name a GGUF file: PARLEY_MODEL=<file> npm start. What fits is listed below."
}

function file({ file, name }: LlamaSpec, head: GgufHead, shape: ModelShape, fileBytes: number): Finding {
  const called = shape.name === undefined ? "" : ` “${shape.name}”`
  const about = `${shape.architecture}, ${countText(head.parameters)} parameters, ${head.quantisation}, ${bytesText(fileBytes)}`
  return {
    ...ok("model.file", `${name} is ${file}${called}: ${about}.`),
    figures: { parameters: head.parameters, fileBytes }
  }
}

function context({ contextTokens, slots }: LlamaSpec, { trainedContext }: ModelShape): Finding {
  const saw = `${slots} slots of ${contextTokens} tokens; the model was trained for ${trainedContext ?? "an unknown number"}.`
  if (trainedContext === undefined || contextTokens <= trainedContext) return ok("model.context", saw)
  const mend = `Set contextTokens to ${trainedContext}.`
  return { id: "model.context-long", level: "note", saw, why: "It is given no more than it was trained for.", mend }
}

export function memoryFinding(options: {
  readonly needed: MemoryNeeded
  readonly spec: Pick<LlamaSpec, "slots" | "contextTokens" | "gpu">
  readonly machine: Machine
  readonly isLoaded: boolean
}): Finding {
  const { isLoaded, machine, needed, spec } = options
  const parts = `weights ${bytesText(needed.weightBytes)}, cache ${bytesText(needed.cacheBytes)} for ${spec.slots} × ${spec.contextTokens} tokens`
  const limit = machine.isBounded ? " (a control group bounds them)" : ""
  const free = `${bytesText(machine.freeBytes)} of ${bytesText(machine.memoryBytes)} are free${limit}`
  const saw = `It needs ${bytesText(needed.bytes)} (${parts}); ${free}.`
  const figures = { neededBytes: needed.bytes, cacheBytes: needed.cacheBytes, freeBytes: machine.freeBytes }
  if (isLoaded) return { id: "model.memory", level: "ok", saw: `${saw} The running server has it loaded.`, figures }
  if (needed.bytes <= machine.freeBytes) return { id: "model.memory", level: "ok", saw, figures }
  return {
    id: "model.memory-short",
    // What of it goes to a graphics card is not known here.
    level: spec.gpu === undefined || spec.gpu === false ? "trouble" : "note",
    saw,
    why: "The system ends the model's process, or the disk is read again for each token.",
    mend: "Take a smaller model or quantisation, lower slots or contextTokens of the model, or give it more memory.",
    figures
  }
}

/** @param chosen how many threads which steps have, in words; empty where it was not measured */
export function threads(
  count: number,
  { cores, isBounded }: Pick<Machine, "cores" | "isBounded">,
  { chosen = "", configured }: { readonly chosen?: string; readonly configured?: number | undefined } = {}
): Finding {
  const name = processorName()
  const given = `${rounded(cores)} cores${isBounded ? " (a control group bounds them)" : ""}${name === "" ? "" : ` of ${name}`}`
  const saw = `${count} ${count === 1 ? "thread decodes" : "threads decode"} on ${given}${chosen === "" ? "" : `: ${chosen}`}.`
  const why = "A thread that loses its core stalls the whole step: a hundred times slower is usual."
  if (configured !== undefined && configured > cores) {
    return {
      id: "model.threads-many",
      level: "warning",
      saw: `threads is ${configured}. ${saw}`,
      why,
      mend: "Take `threads` out of the model in parley.yaml: then Parley measures how many are best, of those that there are."
    }
  }
  if (count <= cores) return ok("model.threads", saw)
  return {
    id: "model.threads-many",
    level: "warning",
    saw,
    why,
    mend: "Give the container or service at least one whole core more: --cpus=2, CPUQuota=200%."
  }
}

/** Through the worker and the engine that the server uses, which chooses its threads. */
const speedOf = Effect.fnUntraced(function* ({ server }: Site, spec: LlamaSpec, memory: Finding) {
  const without = (finding: Finding) => ({ chosen: [], findings: [finding] })
  const running = server?.metrics?.get("parley_turns_running") ?? 0
  if (running > 0) {
    const because = `the running server is answering ${running} turns`
    return without(unmeasured(because, "Run doctor again when it is idle."))
  }
  if (memory.level === "trouble") {
    return without(unmeasured("there is not enough memory to load it", "See model.memory-short."))
  }
  const measured = yield* Effect.result(Effect.flatMap(openSpec(spec), speedAndSteps))
  if (Result.isFailure(measured)) {
    const { failure } = measured
    return without(cannotRun("reason" in failure ? failure.reason : failure._tag))
  }
  const { steps, tokensPerSecond } = measured.success
  return { chosen: steps?.threads ?? [], findings: [speed(tokensPerSecond)] }
})

const speedAndSteps = (engine: Engine) =>
  Effect.all({ tokensPerSecond: measureSpeed(engine), steps: engine.steps ?? Effect.undefined })

const unmeasured = (because: string, mend: string): Finding => ({
  id: "model.unmeasured",
  level: "note",
  saw: `The speed is not measured: ${because}.`,
  mend
})

/** The sentence of the engine ends with its mend. */
function cannotRun(reason: string): Finding {
  const [, saw = reason, mend = fileMend] = /^(.*?) ((?:Put a whole|Lower one|Give it more) .*)$/s.exec(reason) ?? []
  return { id: "model.refused", level: "trouble", saw: saw.replace(/\.?$/, "."), mend }
}

function speed(tokensPerSecond: number): Finding {
  const [load = 0] = loadavg()
  const busy = load >= 1 ? ` The machine has other work (load ${rounded(load)}), which slows it.` : ""
  const saw = `One answer alone comes at ${rounded(tokensPerSecond)} tokens a second.${busy}`
  const figures = { tokensPerSecond }
  if (tokensPerSecond >= readableTokensPerSecond) return { id: "model.speed", level: "ok", saw, figures }
  return {
    id: "model.slow",
    level: "warning",
    saw,
    why: `A person reads ${readableTokensPerSecond} tokens a second.`,
    mend: "Take a smaller model or quantisation (the list below), or give it more cores.",
    figures
  }
}

function late(tokensPerSecond: number | undefined, { limits: { answerTokensMax, turnMaxMs } }: Config): Findings {
  const longestMs = tokensPerSecond === undefined ? 0 : (answerTokensMax * 1000) / tokensPerSecond
  if (longestMs <= turnMaxMs) return []
  return [
    {
      id: "model.late",
      level: "warning",
      saw: `An answer of ${answerTokensMax} tokens would take ${Math.round(longestMs / 1000)} s; a turn is ended after ${turnMaxMs / 1000} s.`,
      why: "The person is told that it took too long.",
      mend: "Lower limits.answerTokensMax, raise limits.turnMaxMs, or take a smaller model."
    }
  ]
}
