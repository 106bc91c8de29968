/** `parley doctor` as its own process, and what it found. */
import { chmodSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, onTestFinished } from "vitest"
import type { Finding } from "../../src/cli/doctor/finding.ts"
import { emptyDir, startMain } from "./main-process.ts"

export const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

export interface Report {
  readonly code: number
  readonly findings: ReadonlyArray<Finding>
  /** Those that are to be mended, by id. */
  readonly faults: ReadonlyArray<string>
  readonly of: (id: string) => Finding | undefined
}

export async function examine(options: Omit<Parameters<typeof startMain>[0], "typed">): Promise<Report> {
  const run = startMain({ ...options, typed: ["doctor", "--json"] })
  const code = await run.ended
  const { findings, healthy } = JSON.parse(run.output()) as {
    readonly findings: ReadonlyArray<Finding>
    readonly healthy: boolean
  }
  expect(code, run.output()).toBe(healthy ? 0 : 1)
  // Whatever is wrong comes with its mend, and no secret of these tests with it.
  for (const { level, mend } of findings) if (level !== "ok") expect(mend, run.output()).toMatch(/\w{3}/)
  expect(run.output()).not.toMatch(/hunter2|MDEyMzQ1Njc4OWFi/)
  return {
    code,
    findings,
    faults: findings.filter(({ level }) => level === "warning" || level === "trouble").map(({ id }) => id),
    of: (id) => findings.find((finding) => finding.id === id)
  }
}

/** It found exactly this, says the words, and gave the exit code of its level. */
export function expectOnly({ code, faults, of }: Report, id: string, ...words: ReadonlyArray<string>): void {
  expect(faults).toEqual([id])
  const finding = of(id)
  for (const word of words) expect([finding?.saw, finding?.why, finding?.mend].join("\n")).toContain(word)
  expect(code).toBe(finding?.level === "trouble" ? 1 : 0)
}

/** The address of a server on loopback that answers so. */
export async function answering(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The environment of a healthy one whose model is another server's, so that nothing is measured. */
export async function healthyModel(): Promise<Record<string, string>> {
  const url = await answering((_, response) => response.end(JSON.stringify({ data: [{ id: "small" }] })))
  return { PARLEY_MODEL: `${url}/v1`, DEMO_SECRET: secret }
}

export const channel = (callback: string) => `channels:
  - kind: webhook
    account: demo
    secret: \${DEMO_SECRET}
    callback: ${callback}
`

/** Where the account that root lends to PostgreSQL comes to as well: else the cluster would live elsewhere. */
export function passableDir(): string {
  const dir = emptyDir()
  chmodSync(dir, 0o711)
  return dir
}
