/** A proxy on loopback between a journal and its PostgreSQL that cuts the writer's connection at the worst moments. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

/** Before the statement reaches the server, or after the server carried it out and before its answer returns. */
export type Cut = "before" | "after"
/** What a statement meets. With `away` it is cut, and the server is gone until it is told to come back. */
export type Fate = Cut | "nothing" | `${Cut} away`

export interface CuttingProxy {
  readonly url: string
  /** What the next statements of the writer meet, one each; the ones after them pass. It replaces an earlier plan. */
  readonly plan: (...fates: ReadonlyArray<Fate>) => void
  /** Lets connections through again. */
  readonly comeBack: () => void
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
    const planned: Array<Fate> = []
    const sockets = new Set<Socket>()
    let isAway = false

    const goAway = () => {
      isAway = true
      for (const socket of sockets) socket.destroy()
    }
    const serve = (client: Socket) => {
      const server = connect(Number(to.port), to.hostname)
      let isCut = false
      let leaves = false
      const end = () => {
        if (leaves) goAway()
        leaves = false
        client.destroy()
        server.destroy()
        sockets.delete(client)
      }
      sockets.add(client)
      for (const socket of [client, server]) socket.on("error", end).on("close", end)
      if (isAway) return end()
      client.on("data", (bytes) => {
        const fate = bytes.includes(writers) ? (planned.shift() ?? "nothing") : "nothing"
        leaves ||= fate.endsWith("away")
        if (fate.startsWith("before")) return end()
        isCut ||= fate.startsWith("after")
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
      plan: (...fates) => void planned.splice(0, planned.length, ...fates),
      comeBack: () => {
        isAway = false
      }
    }
  })
