/** A proxy on loopback between a journal and its PostgreSQL that cuts the writer's connection at the worst moments. */

import type { AddressInfo } from "node:net"
import { connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

/** Before the statement reaches the server, or after the server carried it out and before its answer returns. */
export type Cut = "before" | "after"

export interface CuttingProxy {
  readonly url: string
  /** What the next statements of the writer meet, one each; the ones after them pass. */
  readonly plan: (...cuts: ReadonlyArray<Cut>) => void
  /** Whether every cut that was planned has happened. */
  readonly isDone: () => boolean
  /** From here on, until it is told otherwise, nobody gets through; whoever is connected is cut. */
  readonly refuse: (isRefusing: boolean) => void
}

/** The writer's statements are the only ones with this in their names. */
const writers = "batch-"
/**
 * ReadyForQuery: the server's last word on a statement.
 * https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
const ready = Buffer.from([0x5a, 0, 0, 0, 5])

export const openCuttingProxy = (url: string): Effect.Effect<CuttingProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const to = new URL(url)
    const planned: Array<Cut> = []
    const sockets = new Set<Socket>()
    let isRefusing = false

    const serve = (client: Socket) => {
      const server = connect(Number(to.port), to.hostname)
      let isCut = false
      const end = () => {
        client.destroy()
        server.destroy()
        sockets.delete(client)
      }
      sockets.add(client)
      for (const socket of [client, server]) socket.on("error", end).on("close", end)
      if (isRefusing) return end()
      client.on("data", (bytes) => {
        const cut = bytes.includes(writers) ? planned.shift() : undefined
        if (cut === "before") return end()
        isCut ||= cut === "after"
        server.write(bytes)
      })
      server.on("data", (bytes) => {
        if (!isCut) client.write(bytes)
        else if (bytes.includes(ready)) end()
      })
    }

    const listening = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const listener = createServer({ noDelay: true }, serve)
        await new Promise<void>((resume) => listener.listen(0, "127.0.0.1", resume))
        return listener
      }),
      (listener) =>
        Effect.sync(() => {
          listener.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    const through = new URL(url)
    through.hostname = "127.0.0.1"
    through.port = String((listening.address() as AddressInfo).port)
    return {
      url: through.href,
      plan: (...cuts) => void planned.push(...cuts),
      isDone: () => planned.length === 0,
      refuse: (refusing) => {
        isRefusing = refusing
        if (refusing) for (const socket of sockets) socket.destroy()
      }
    }
  })
