/**
 * The floor of an accept: the least program that keeps I1 and I2, with nothing of Parley in it. It verifies, parses,
 * and inserts what waits in one statement, one batch in flight. `node bench/floor-accept.ts`, with an IPC channel.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import pg from "pg"

const [url = "", secret = ""] = process.argv.slice(2)
const key = Buffer.from(secret.slice("whsec_".length), "base64")
const client = new pg.Client({ connectionString: url })
await client.connect()
await client.query(`create table floor_inbound (position bigint generated always as identity primary key,
  event_key text unique, conversation text not null, user_id text not null, text text not null, at_ms bigint not null)`)
const insert = `insert into floor_inbound (event_key, conversation, user_id, text, at_ms)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) on conflict do nothing`

const answer = '{"accepted":true,"duplicate":false}'
const waiting: Array<{ readonly row: ReadonlyArray<unknown>; readonly response: ServerResponse }> = []
let isWriting = false
async function write(): Promise<void> {
  isWriting = true
  while (waiting.length > 0) {
    const batch = waiting.splice(0, 256)
    const values = [0, 1, 2, 3, 4].map((column) => batch.map(({ row }) => row[column]))
    await client.query({ name: "insert", text: insert, values })
    for (const { response } of batch) response.writeHead(202, { "content-length": answer.length }).end(answer)
  }
  isWriting = false
}

function accept(headers: IncomingHttpHeaders, body: Buffer, response: ServerResponse): void {
  const signed = createHmac("sha256", key)
    .update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`)
    .update(body)
  const expected = Buffer.from(`v1,${signed.digest("base64")}`)
  const given = Buffer.from(String(headers["webhook-signature"]))
  const isOld = Math.abs(Number(headers["webhook-timestamp"]) * 1000 - Date.now()) > 300_000
  if (isOld || expected.length !== given.length || !timingSafeEqual(expected, given)) {
    response.writeHead(401).end()
    return
  }
  const { conversation, text, user } = JSON.parse(body.toString())
  waiting.push({ row: [headers["webhook-id"], conversation, user.id, text, Date.now()], response })
  if (!isWriting) void write()
}

const server = createServer((request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk) => chunks.push(chunk))
  request.on("end", () => accept(request.headers, Buffer.concat(chunks), response))
})
server.listen(0, "127.0.0.1", 1024, () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on("disconnect", () => process.exit())
