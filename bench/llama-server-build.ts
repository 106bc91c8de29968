/**
 * Builds llama-server, the peer of bench/engine.ts and bench/conversations.ts, from the sources that node-llama-cpp
 * brings along, into .cache/llama-server. It loads node-llama-cpp's own libraries, so that both decode with the same
 * code. Needs git, cmake, ninja and a C++ compiler; takes ten minutes on two cores. No network.
 *
 *   npm run bench:peer
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, globSync, mkdirSync, rmSync, symlinkSync } from "node:fs"
import { availableParallelism } from "node:os"
import { basename, join } from "node:path"
import { print } from "./figures.ts"
import { peerFolder } from "./llama-server.ts"
import { root } from "./place.ts"

const sources = join(root, ".cache/llama-server-sources")
const run = (command: string, ...words: ReadonlyArray<string>) => execFileSync(command, words, { stdio: "inherit" })
const one = (pattern: string): string => {
  const found = globSync(pattern, { cwd: join(root, "node_modules") })[0]
  if (found === undefined) throw new Error(`there is no node_modules/${pattern}: run npm ci`)
  return join(root, "node_modules", found)
}

const libraries = one("@node-llama-cpp/linux-*64/bins/*")
rmSync(sources, { recursive: true, force: true })
run("git", "clone", "--quiet", one("node-llama-cpp/llama/*.bundle"), sources)
// The decoding libraries are not built: llama-server is bound to those of node-llama-cpp.
const off = ["GGML_NATIVE", "GGML_CPU", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP"]
const alsoOff = ["LLAMA_OPENSSL", "LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI"]
run(
  ...(["cmake", "-S", sources, "-B", join(sources, "build"), "-G", "Ninja"] as const),
  ...["CMAKE_BUILD_TYPE=Release", "BUILD_SHARED_LIBS=ON", "GGML_BACKEND_DL=ON"].map((flag) => `-D${flag}`),
  ...[...off, ...alsoOff].map((flag) => `-D${flag}=OFF`)
)
run("ninja", "-C", join(sources, "build"), `-j${availableParallelism()}`, "llama-server")

rmSync(peerFolder, { recursive: true, force: true })
mkdirSync(peerFolder, { recursive: true })
for (const built of globSync(join(sources, "build/bin/*"))) {
  if (/^llama-server$|^lib(?:llama-server|llama-common|mtmd).*\.so(?:\.0)?$/.test(basename(built)))
    copyFileSync(built, join(peerFolder, basename(built)))
}
for (const library of globSync(join(libraries, "lib{ggml,llama.v}*.so"))) {
  const name = basename(library)
  for (const needed of new Set([name, name.replace(/(?:\.v.*)?\.so$/, ".so.0")])) {
    symlinkSync(library, join(peerFolder, needed))
  }
}
print(`llama-server is in ${peerFolder}`)
