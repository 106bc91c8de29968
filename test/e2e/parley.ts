/** A whole Parley for a browser to look at: its page built, its database, and a model that follows a script. */
import { execFileSync } from "node:child_process"
import { createServer } from "node:net"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { onTestFinished } from "vitest"
import { type MainProcess, startMain } from "../integration/main-process.ts"
import { withDatabase } from "../integration/postgres.ts"
import { type Script, type ScriptedModel, startScriptedModel } from "./scripted-model.ts"

export interface Running {
  readonly address: string
  readonly model: ScriptedModel
  /** Kills the server and starts it again, at the same address. */
  readonly kill: () => Promise<void>
  readonly restart: () => Promise<void>
  readonly output: () => string
}

export interface RunningOptions {
  readonly scriptOf: (text: string) => Script
  readonly yaml?: string
  readonly env?: Readonly<Record<string, string>>
}

let isBuilt = false

/** The page that is tested is the one of these sources. */
function buildPage(): void {
  if (!isBuilt) execFileSync("npm", ["run", "web"], { cwd: join(import.meta.dirname, "../.."), stdio: "ignore" })
  isBuilt = true
}

export async function startParley({ env = {}, scriptOf, yaml = "" }: RunningOptions): Promise<Running> {
  buildPage()
  const scope = await Effect.runPromise(Scope.make())
  const url = await Effect.runPromise(Effect.provideService(withDatabase, Scope.Scope, scope))
  const model = await startScriptedModel(scriptOf)
  const port = await freePort()
  const environment = { DATABASE_URL: url, PARLEY_MODEL: model.url, PORT: String(port), ...env }
  const start = () => startMain({ yaml, env: environment })
  let main: MainProcess = start()
  const address = await main.ready()
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return {
    address,
    model,
    output: () => main.output(),
    kill: async () => {
      main.child.kill("SIGKILL")
      await main.ended
    },
    restart: async () => {
      main = start()
      await main.ready()
    }
  }
}

/** The page comes back to where it was: the port must stay. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === "object" && address !== null ? address.port : 0
}
