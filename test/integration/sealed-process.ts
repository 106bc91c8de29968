/**
 * A process as a container engine runs it: alone in its namespaces, its root read-only, its user without rights.
 *
 * What is missing of a container: the network is this machine's, no cgroup bounds it, no seccomp profile filters it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import { kill } from "../../src/store/process-identity.ts"
import { addressOf } from "./address.ts"
import type { ImageTree } from "./image-tree.ts"

/** Why it cannot be tried here; undefined where it can. */
export const unsealable: string | undefined = whyNot()

function whyNot(): string | undefined {
  if (process.platform !== "linux") return "namespaces are Linux's"
  if (process.getuid?.() !== 0) return "only root may mount a read-only root here"
  const { error, status, stderr } = spawnSync("unshare", [
    "--mount",
    "--pid",
    "--fork",
    "mount",
    "-t",
    "tmpfs",
    "t",
    "/mnt"
  ])
  if (error !== undefined) return `there is no unshare (${error.message})`
  if (status !== 0) return `unshare is not allowed (${String(stderr).trim()})`
  if (spawnSync("setpriv", ["--version"]).error !== undefined) return "there is no setpriv"
  return undefined
}

export interface Sealed {
  readonly output: () => string
  /** The address, once it is ready; fails with all it printed when it ends before. */
  readonly ready: () => Promise<string>
  /** To the first process of the namespace, as `docker stop` sends it. */
  readonly signal: (signal: NodeJS.Signals) => void
  /** The exit code; -1 when a signal ended it. */
  readonly ended: Promise<number>
  /** Runs a command in it beside the server, and gives its exit code and what it printed. */
  readonly exec: (command: ReadonlyArray<string>, env?: Readonly<Record<string, string>>) => Executed
}

export interface Executed {
  readonly code: number | null
  readonly output: string
}

/** Starts the image's entry point with `command`; `data` holds what its volumes hold. */
export function startSealed(
  image: ImageTree,
  data: string,
  options: { readonly command?: ReadonlyArray<string>; readonly env?: Readonly<Record<string, string>> } = {}
): Sealed {
  for (const volume of image.volumes) {
    mkdirSync(join(data, volume), { recursive: true })
    chownSync(join(data, volume), image.uid, image.uid)
  }
  const PATH = image.env["PATH"]?.replace("$PATH", systemPath) ?? systemPath
  const env = { ...image.env, PATH, ...options.env }
  const child = spawn(
    "unshare",
    [
      "--mount",
      "--pid",
      "--ipc",
      "--fork",
      "sh",
      "-c",
      sealing(image, data),
      "sh",
      ...image.entrypoint,
      ...(options.command ?? image.command)
    ],
    { env, stdio: ["ignore", "pipe", "pipe"], cwd: "/" }
  )
  return followed(child, image, env)
}

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
const noRights = (uid: number) =>
  `setpriv --reuid=${uid} --regid=${uid} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all`

/** The root becomes a mount of its own, so that it can be made read-only with nothing else. */
function sealing({ dir, mounts, uid, volumes }: ImageTree, data: string): string {
  const root = quoted(dir)
  return [
    "set -eu",
    `mount --bind ${root} ${root}`,
    `cd ${root}`,
    ...mounts.flatMap(({ at, from }) => [`mount --bind ${quoted(from)} .${at}`, `mount -o remount,ro,bind .${at}`]),
    ...volumes.map((volume) => `mount --bind ${quoted(join(data, volume))} .${volume}`),
    "mount -t proc proc ./proc",
    "mount --rbind /dev ./dev",
    "mount -t tmpfs -o size=64m,mode=1777 tmp ./tmp",
    "mount -o remount,ro,bind .",
    `exec chroot . ${noRights(uid)} -- "$@"`
  ].join("\n")
}

function followed(child: ChildProcess, { uid }: ImageTree, env: Readonly<Record<string, string>>): Sealed {
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  }
  const ended = new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? -1)))
  const first = () => {
    const children = `/proc/${child.pid}/task/${child.pid}/children`
    return (existsSync(children) ? readFileSync(children, "utf8") : "").split(" ").filter(Boolean).map(Number)
  }
  onTestFinished(async () => {
    // The first process takes all others of its namespace with it; unshare's own --kill-child ends where rights change.
    for (const pid of first()) kill(pid)
    child.kill("SIGKILL")
    await ended
  })
  const ready = () => addressOf(child, () => output)
  const exec: Sealed["exec"] = (command, more = {}) => {
    const [pid] = first()
    const entered = [`--target=${pid}`, "--mount", "--pid", "--root", "--wd", ...noRights(uid).split(" "), "--"]
    const done = spawnSync("nsenter", [...entered, ...command], { env: { ...env, ...more }, encoding: "utf8" })
    return { code: done.status, output: `${done.stdout}${done.stderr}` }
  }
  const signal = (name: NodeJS.Signals) => first().forEach((pid) => void process.kill(pid, name))
  return { output: () => output, ready, signal, ended, exec }
}
