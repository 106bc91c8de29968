/** Builds the chat page when it has not been built yet: `npm start` on a fresh checkout serves it. */
import { existsSync } from "node:fs"
import { join } from "node:path"

if (!existsSync(join(import.meta.dirname, "dist/index.html"))) {
  process.stdout.write("Building the chat page into web/dist (once, a few seconds).\n")
  const { build } = await import("vite")
  await build({ configFile: join(import.meta.dirname, "vite.config.ts"), logLevel: "warn" })
}
