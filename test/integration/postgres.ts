/** A real PostgreSQL for a test: fsync on, as at work. */
import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import pg from "pg"

/**
 * The URL of an empty database that nobody else has, dropped when the scope closes. The first caller of a run waits a
 * second for the server, later ones some 50 ms.
 */
export const withDatabase = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = await serverUrl()
    const name = `test_${randomUUID().replaceAll("-", "")}`
    await onServer(server, `create database ${name}`)
    return { server, name }
  }),
  ({ name, server }) => Effect.promise(() => onServer(server, `drop database ${name} with (force)`))
).pipe(Effect.map(({ name, server }) => server.replace(/[^/]*$/, name)))

async function serverUrl(): Promise<string> {
  const at = process.env["PARLEY_TEST_DATABASE"]
  if (at === undefined) throw new Error("test/integration/global-setup.ts did not run: run the tests with vitest")
  const answer = await fetch(at)
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
}

async function onServer(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString, ssl: false })
  client.on("error", () => {})
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
