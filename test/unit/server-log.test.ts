import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { lastWords, logSize, trimLog } from "../../src/store/server-log.ts"

function freshLog(): string {
  const dir = mkdtempSync(join(tmpdir(), "parley-log-"))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  return join(dir, "server.log")
}

it("the log stays within bounds, and what was cut is kept once", () => {
  const log = freshLog()
  for (let times = 0; times < 100; times++) {
    appendFileSync(log, "x".repeat(300))
    trimLog(log, 1_000)
    expect(logSize(log)).toBeLessThanOrEqual(1_000)
  }
  expect(logSize(`${log}.1`)).toBe(1_200)
})

it("the last words are those of the last start, and tell what passes from what does not", () => {
  const log = freshLog()
  appendFileSync(log, '2026 [1] FATAL:  lock file "postmaster.pid" already exists\n')
  const from = logSize(log)
  expect(lastWords(log, 0)).toEqual({ words: 'FATAL:  lock file "postmaster.pid" already exists', isPassing: true })
  appendFileSync(log, "2026 [2] PANIC:  could not locate a valid checkpoint record\n2026 [3] LOG:  shutting down\n")
  expect(lastWords(log, from)).toEqual({
    words: "PANIC:  could not locate a valid checkpoint record",
    isPassing: false
  })
  expect(lastWords(log, readFileSync(log).length)).toEqual({ words: undefined, isPassing: false })
})
