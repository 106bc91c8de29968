#!/usr/bin/env node
// In JavaScript, so that a Node that cannot read our TypeScript can say so.
const major = Number(process.versions.node.split(".")[0])
if (major >= 24) await import("../src/main.ts")
else {
  const mend = "npm ci brings one for Linux, which npx parley takes; elsewhere install it: https://nodejs.org"
  process.stderr.write(`Parley needs Node 24.16 or newer, and this is ${process.version}. ${mend}\n`)
  process.exitCode = 1
}
