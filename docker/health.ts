/** The container's health check: ready is 0, everything else 1, and what is not up is said in one line. */
const waitMaxMs = 4_000

const { HOST = "127.0.0.1", PORT = "8080" } = process.env
const everywhere: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" }
const host = everywhere[HOST] ?? HOST
const address = `http://${host.includes(":") ? `[${host}]` : host}:${PORT}/health/ready`

try {
  const answer = await fetch(address, { signal: AbortSignal.timeout(waitMaxMs) })
  process.stdout.write(`${await answer.text()}\n`)
  process.exitCode = answer.ok ? 0 : 1
} catch (error) {
  process.stdout.write(`${address} does not answer: ${String((error as Error).cause ?? error)}\n`)
  process.exitCode = 1
}
