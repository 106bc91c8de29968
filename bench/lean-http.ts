/**
 * As much of HTTP/1.1 as two programs that know each other need, for a tenth of what node:http costs: the counterparts
 * of a measured server share its cores. Bodies have a content-length, or are chunked events; connections are kept.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net"

/** A line of events has no CR in it, so that this is the end of a chunked body wherever it stands. */
const lastChunk = "\r\n0\r\n\r\n"

/** Splits what comes into messages. `head` is up to the empty line, as Latin-1. A chunked body is given as it came. */
function reader(onMessage: (head: string, body: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (;;) {
      const headEnd = bytes.indexOf("\r\n\r\n")
      if (headEnd === -1) break
      const head = bytes.toString("latin1", 0, headEnd)
      const end = endOf(bytes, head, headEnd)
      if (bytes.length < end) break
      const body = bytes.subarray(headEnd + 4, end)
      bytes = bytes.subarray(end)
      onMessage(head, body)
    }
    rest = bytes
  }
}

function endOf(bytes: Buffer, head: string, headEnd: number): number {
  if (/\ntransfer-encoding: *chunked/i.test(head)) {
    const last = bytes.indexOf(lastChunk, headEnd + 2)
    return last === -1 ? Number.POSITIVE_INFINITY : last + lastChunk.length
  }
  const [, length = "0"] = /\ncontent-length: *(\d+)/i.exec(head) ?? []
  return headEnd + 4 + Number(length)
}

/** `answer` gives the whole response. */
export function listenLean(answer: (head: string, body: Buffer) => Buffer): Promise<{ server: Server; port: number }> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on(
      "data",
      reader((head, body) => socket.write(answer(head, body)))
    )
    socket.on("error", () => socket.destroy())
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", 1024, () => {
      const address = server.address()
      resolve({ server, port: typeof address === "object" && address !== null ? address.port : 0 })
    })
  })
}

export function responseOf(status: string, headers: ReadonlyArray<string>, body = ""): Buffer {
  const length = `content-length: ${Buffer.byteLength(body)}`
  return Buffer.from([`HTTP/1.1 ${status}`, ...headers, length, "", body].join("\r\n"))
}

interface Waiting {
  readonly request: Buffer
  readonly onAnswer: (status: number) => void
  /** With the first bytes of the answer. */
  onFirst?: (() => void) | undefined
}

/** Sends requests over kept connections, one at a time on each; what finds none free waits in order. */
export class LeanClient {
  readonly #port: number
  readonly #free: Array<Socket> = []
  readonly #all = new Set<Socket>()
  readonly #current = new Map<Socket, Waiting>()
  readonly #waiting: Array<Waiting> = []
  #trouble: Error | undefined

  private constructor(port: number) {
    this.#port = port
  }

  static async open(port: number, connections: number): Promise<LeanClient> {
    const client = new LeanClient(port)
    await Promise.all(Array.from({ length: connections }, () => client.#connect()))
    return client
  }

  send(request: Buffer, onAnswer: (status: number) => void, onFirst?: () => void): void {
    if (this.#trouble !== undefined) throw this.#trouble
    // The one that rested longest, so that none is closed for being idle.
    const socket = this.#free.shift()
    if (socket === undefined) this.#waiting.push({ request, onAnswer, onFirst })
    else this.#give(socket, { request, onAnswer, onFirst })
  }

  close(): void {
    for (const socket of this.#all) socket.removeAllListeners().destroy()
  }

  #give(socket: Socket, waiting: Waiting): void {
    this.#current.set(socket, waiting)
    socket.write(waiting.request)
  }

  #connect(): Promise<void> {
    const socket = createConnection({ port: this.#port, host: "127.0.0.1", noDelay: true })
    this.#all.add(socket)
    const read = reader((head) => this.#take(socket, Number(head.slice(9, 12))))
    socket.on("data", (chunk) => {
      const current = this.#current.get(socket)
      current?.onFirst?.()
      if (current !== undefined) delete current.onFirst
      read(chunk)
    })
    socket.on("close", () => {
      if (this.#current.has(socket)) throw new Error("the server closed a connection while it owed an answer")
      this.#all.delete(socket)
      this.#free.splice(this.#free.indexOf(socket), 1)
      this.#connect().catch((error: Error) => {
        this.#trouble = error // told to whoever sends next
      })
    })
    return new Promise((resolve, reject) => {
      socket.once("error", reject)
      socket.once("connect", () => {
        this.#free.push(socket)
        resolve()
      })
    })
  }

  #take(socket: Socket, status: number): void {
    const answered = this.#current.get(socket)
    this.#current.delete(socket)
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(socket)
    else this.#give(socket, next)
    answered?.onAnswer(status)
  }
}
