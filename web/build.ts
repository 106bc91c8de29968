/** Builds the chat page when it has not been built yet, so that `npm start` on a fresh checkout serves it. */
import { existsSync } from "node:fs"
import { join } from "node:path"

if (!existsSync(join(import.meta.dirname, "dist/index.html"))) {
  process.stdout.write("Building the chat page into web/dist (once, a few seconds).\n")
  await build().catch((error: unknown) => {
    // The rest of the server needs no page, and an installation without development packages has no Vite.
    process.stderr.write(`The chat page could not be built; everything else works. ${String(error)}\n`)
  })
}

async function build(): Promise<void> {
  const vite = await import("vite")
  await vite.build({ configFile: join(import.meta.dirname, "vite.config.ts"), logLevel: "warn" })
}
