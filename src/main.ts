#!/usr/bin/env node
/**
 * The entry. Node keeps what it made of our sources and of our libraries': a later start takes half the time, and goes
 * without the compiler, some 20 MB.
 */
import { enableCompileCache } from "node:module"
import { fileURLToPath } from "node:url"

// Until the command listens to signals itself there is nothing to stop.
process.once("SIGTERM", () => process.exit(0))
process.once("SIGINT", () => process.exit(130))
enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/parley", import.meta.url)))
await import("./run.ts")
