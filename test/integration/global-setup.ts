/**
 * One PostgreSQL for all test files of a run, started when the first of them asks: unit tests alone start none.
 *
 * Tests run in processes of their own, and learn from the environment where to ask. A run that was killed left its
 * server behind: the next run ends it.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"

const prefix = "parley-test-"

let stop = async () => {}

export const teardown = () => stop()

export async function setup() {
  sweep()
  const scope = Scope.makeUnsafe()
  const dataDir = join(tmpdir(), `${prefix}${process.pid}`)
  const launch = async () => {
    const { open } = await import("../../src/store/embedded.ts")
    const embedded = open({ dataDir, announce: () => Effect.void })
    return (await Effect.runPromise(Effect.provideService(embedded, Scope.Scope, scope))).url
  }
  let url: Promise<string> | undefined
  const server = createServer((_, response) => {
    url ??= launch()
    url.then(
      (text) => response.end(text),
      (error) => response.writeHead(500).end(error.reason ?? String(error))
    )
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  process.env["PARLEY_TEST_DATABASE"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  stop = async () => {
    server.close()
    server.closeAllConnections()
    await url?.catch(() => {})
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(dataDir, { recursive: true, force: true })
  }
}

function sweep() {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(prefix))) {
    if (isThere(Number(name.slice(prefix.length)))) continue
    const left = join(tmpdir(), name)
    try {
      process.kill(Number(readFileSync(join(left, "postgres/data/postmaster.pid"), "utf8").split("\n")[0]), "SIGQUIT")
    } catch {
      // It does not run.
    }
    rmSync(left, { recursive: true, force: true, maxRetries: 5 })
  }
}

function isThere(pid: number) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
