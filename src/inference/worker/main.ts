/** The process that decodes: node main.ts OPTIONS, started by the server, which it does not outlive. */
import { setInterval } from "node:timers/promises"
import { type Loop, openLoop } from "./loop.ts"
import { type Model, openModel } from "./model.ts"
import type { FromWorker, ToWorker, WorkerOptions } from "./wire.ts"

process.on("disconnect", die)
// The server may have gone while our imports were loaded.
if (!process.connected) die()

const options: WorkerOptions = JSON.parse(process.argv[2]!)
const opened = await openModel(options)
const model = "what" in opened ? send({ type: "broken", ...opened }) : await warmedUp(opened)
if (model !== undefined) {
  const loop = openLoop(model, options, send)
  process.on("message", (message: ToWorker) => hear(loop, message))
  send({ type: "ready" })
  await Promise.race([loop.run(), beat(loop)])
}

/** Not process.exit: it would run destructors while other threads still decode. The group is ours (`detached`). */
function die(): void {
  process.kill(-process.pid, "SIGKILL")
}

/** The first decode allocates, and a model that cannot decode shows it here. */
async function warmedUp(model: Model): Promise<Model> {
  const sampler = model.sampler({ temperature: 0, seed: 0 }, 1)
  await model.decode([{ tokens: [0], position: 0, sampler }])
  sampler.dispose()
  model.clear(0)
  return model
}

function hear(loop: Loop, message: ToWorker): void {
  if (message.type === "generate") loop.generate(message.job)
  else loop.abort(message.key)
}

/** While it decodes, its steps are the sign of life: an idle event loop says nothing about a hung decode. */
async function beat(loop: Loop): Promise<never> {
  for await (const _ of setInterval(options.heartbeatMs)) if (loop.isIdle()) send({ type: "idle" })
  throw new Error("the interval ended")
}

function send(message: FromWorker): undefined {
  // An error means that the server is gone, which "disconnect" deals with.
  process.send!(message, undefined, undefined, () => {})
}
