/** Real faults, each planted by itself: in the file system, the database, the model's file, or another server. */
import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { createServer as createSecureServer } from "node:https"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import { writeRandomModel } from "../../models/random-model.ts"
import { answering } from "./doctor-bench.ts"
import { emptyDir } from "./main-process.ts"

export async function modelFile(change: (bytes: Buffer) => void = () => {}): Promise<string> {
  const path = join(emptyDir(), "model.gguf")
  await writeRandomModel(path)
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
  return path
}

/** A text's value in the metadata stands behind its key, its type and its length; a number's without a length. */
export const put = (bytes: Buffer, key: string, write: (at: number) => void) =>
  write(bytes.indexOf(key) + key.length + 4)

export async function cutOffModel(): Promise<string> {
  const path = await modelFile()
  truncateSync(path, 700_000)
  return path
}

export const longModel = () =>
  modelFile((bytes) =>
    put(bytes, "llama.context_length", (at) => {
      bytes.writeUInt32LE(1_048_576, at)
    })
  )

export const strangeModel = () =>
  modelFile((bytes) =>
    put(bytes, "general.architecture", (at) => {
      bytes.write("flame", at + 8)
    })
  )

/** A program that is no Parley, at a port of loopback. */
export async function strangerPort(): Promise<number> {
  const other = createServer((socket) => socket.end("SSH-2.0-x\r\n")).listen(0, "127.0.0.1")
  onTestFinished(() => void other.close())
  await new Promise((resolve) => other.once("listening", resolve))
  return (other.address() as AddressInfo).port
}

/** A callback whose clock is off by so much. */
export const callbackOff = (offMs: number) =>
  answering((_, response) => {
    const nowMs = performance.timeOrigin + performance.now()
    response.writeHead(200, { date: new Date(nowMs + offMs).toUTCString() }).end()
  })

/** Its certificate is signed by itself. */
export async function selfSignedCallback(): Promise<string> {
  const pem = readFileSync(join(import.meta.dirname, "../recorded/self-signed.pem"))
  const server = createSecureServer({ key: pem, cert: pem }, (_, response) => response.end()).listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A model server that wants the key `right`. */
export const keyedServer = () =>
  answering((request, response) => {
    response.writeHead(request.headers.authorization === "Bearer right" ? 200 : 401)
    response.end(JSON.stringify({ data: [{ id: "small" }, { id: "large" }] }))
  })

export function openDirectory(): string {
  const dir = join(emptyDir(), "open")
  mkdirSync(dir)
  chmodSync(dir, 0o755)
  return dir
}

export function plainFile(): string {
  const file = join(emptyDir(), "file")
  writeFileSync(file, "")
  return file
}

const tries = (program: string, ...args: ReadonlyArray<string>) => {
  const { error, status } = spawnSync(program, args, { stdio: "ignore" })
  return error === undefined && status === 0
}

/** Why a small disk cannot be mounted; undefined where it can. */
export function noMount(): string | undefined {
  const dir = emptyDir()
  if (!tries("mount", "-t", "tmpfs", "-o", "size=1m", "parley-test", dir)) return "no disk can be mounted here"
  spawnSync("umount", [dir])
  return undefined
}

/** A disk of so many MiB, of which so many are taken. */
export function smallDisk(sizeMib: number, takenMib: number): string {
  const dir = emptyDir()
  spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m,mode=0700`, "parley-test", dir])
  onTestFinished(() => {
    spawnSync("umount", [dir])
  })
  const ballast = join(dir, "ballast")
  try {
    if (takenMib > 0) writeFileSync(ballast, Buffer.alloc(takenMib * 1024 * 1024))
  } catch {
    // It is full, which is what was wanted.
  }
  onTestFinished(() => rmSync(ballast, { force: true }))
  return dir
}

/** Runs a command with a disk that takes so long for a flush. */
export const slowDisk = (delayMs: number): ReadonlyArray<string> => [
  ...["strace", "--quiet=all", "--follow-forks", "--output=/dev/null", "--trace=fdatasync"],
  `--inject=fdatasync:delay_enter=${delayMs * 1000}`
]

/** Why system calls cannot be held up; undefined where they can. */
export function noStrace(): string | undefined {
  const [program = "", ...args] = slowDisk(1)
  return tries(program, ...args, "true") ? undefined : "strace is not there, or not allowed"
}
