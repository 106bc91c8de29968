/**
 * The image as a folder: what the last stage of the Dockerfile copies, and nothing else of the checkout.
 *
 * What other stages make (node_modules, the page) is this checkout's own.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { environmentOf, imageOf, root, stepsOf } from "../unit/container-files.ts"

export interface ImageTree {
  /** The folder that is the root of the image. */
  readonly dir: string
  readonly env: Readonly<Record<string, string>>
  readonly uid: number
  readonly entrypoint: ReadonlyArray<string>
  readonly command: ReadonlyArray<string>
  readonly health: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<string>
  /** Folders of this machine that stand in for what the base image and other stages bring. */
  readonly mounts: ReadonlyArray<{ readonly from: string; readonly at: string }>
}

/** Lays the image out in `dir`; `secrets` become files of /run/secrets. */
export function layOut(dir: string, secrets: Readonly<Record<string, string>>): ImageTree {
  const image = imageOf("cpu")
  const mounts = [{ from: "/usr", at: "/usr" }]
  let workdir = "/"
  for (const { flags, keyword, values } of image.steps) {
    if (keyword === "WORKDIR") workdir = values[0]!
    if (keyword !== "COPY") continue
    const target = resolve(workdir, values.at(-1)!)
    for (const source of values.slice(0, -1)) {
      const isFolder = values.at(-1)!.endsWith("/")
      const at = isFolder ? join(target, basename(source)) : target
      const from = flags["from"] === undefined ? join(root, source) : join(root, source.replace(/^\/app\//, ""))
      if (basename(from) === "node_modules") mounts.push({ from: realpathSync(from), at })
      else put(from, join(dir, at))
    }
  }
  const list = (keyword: string) => stepsOf(image, keyword).flatMap(({ values }) => values)
  const volumes = arrayOf(list("VOLUME"))
  for (const { at } of mounts) mkdirSync(join(dir, at), { recursive: true })
  const empty = [...volumes, "/proc", "/dev", "/tmp", "/run/secrets", "/etc"]
  for (const folder of empty) mkdirSync(join(dir, folder), { recursive: true })
  for (const name of ["bin", "lib", "lib64"])
    if (existsSync(`/usr/${name}`)) symlinkSync(`usr/${name}`, join(dir, name))
  const uid = Number(list("USER")[0]?.split(":")[0])
  writeFileSync(join(dir, "etc/passwd"), `parley:x:${uid}:${uid}::/var/lib/parley:/usr/sbin/nologin\n`)
  writeFileSync(join(dir, "etc/group"), `parley:x:${uid}:\n`)
  for (const [name, value] of Object.entries(secrets)) writeFileSync(join(dir, "run/secrets", name), value)
  readable(dir)
  return {
    dir,
    mounts,
    volumes,
    uid,
    env: environmentOf(image),
    entrypoint: arrayOf(list("ENTRYPOINT")),
    command: arrayOf(list("CMD")),
    health: arrayOf(list("HEALTHCHECK").slice(list("HEALTHCHECK").indexOf("CMD") + 1))
  }
}

const arrayOf = (words: ReadonlyArray<string>) => JSON.parse(words.join(" ")) as ReadonlyArray<string>

function put(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { recursive: true })
}

/** As a builder leaves them, whatever umask this checkout was made with. */
function readable(dir: string): void {
  chmodSync(dir, 0o755)
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory() || entry.name.endsWith(".sh")) chmodSync(path, 0o755)
    else if (entry.isFile()) chmodSync(path, 0o644)
  }
}
