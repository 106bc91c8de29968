/** llama-server as its documentation starts it, on a model of ours: the peer. Built by llama-server-build.ts. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { root } from "./place.ts"

export const peerFolder = join(root, ".cache/llama-server")

export interface PeerOptions {
  readonly file: string
  readonly slots: number
  /** Of each slot. */
  readonly contextTokens: number
  readonly threads: number
}

export interface Peer extends AsyncDisposable {
  readonly port: number
  readonly child: ChildProcess
}

/** All that is not named here is as llama-server has it by itself, its cache of prompts in 8 GiB of memory among it. */
export async function startLlamaServer({ contextTokens, file, slots, threads }: PeerOptions): Promise<Peer> {
  const program = process.env["LLAMA_SERVER"] ?? join(peerFolder, "llama-server")
  if (!existsSync(program)) throw new Error(`there is no ${program}: run npm run bench:peer, or set LLAMA_SERVER`)
  const port = await freePort()
  const flags = {
    ...{ model: file, host: "127.0.0.1", port, parallel: slots, "ctx-size": slots * contextTokens },
    ...{ threads, "threads-batch": threads }
  }
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(program, [...words, "--no-webui", "--log-disable"], {
    env: { PATH: process.env["PATH"], LD_LIBRARY_PATH: peerFolder },
    stdio: ["ignore", "ignore", "inherit"]
  })
  const closed = once(child, "close")
  const abandon = () => child.kill("SIGKILL")
  process.once("exit", abandon)
  while (!(await isUp(port))) {
    if (child.exitCode !== null) throw new Error(`llama-server ended with ${child.exitCode}`)
    await setTimeout(50)
  }
  return {
    port,
    child,
    [Symbol.asyncDispose]: async () => {
      process.off("exit", abandon)
      child.kill("SIGKILL")
      await closed
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { readonly port: number }
  server.close()
  await once(server, "close")
  return port
}

const isUp = (port: number) =>
  fetch(`http://127.0.0.1:${port}/health`).then(
    ({ ok }) => ok,
    () => false
  )
