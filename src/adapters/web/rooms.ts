/** The conversations that are open on some page, or under way: what there is to be shown of each, and who looks. */
import type { Glimpse } from "../../domain/glimpse.ts"
import type { Session } from "./session.ts"
import type { Draft, Scene, Wait } from "./view.ts"

export interface Room extends Scene {
  readonly thread: string
  seq: number
  turn: number
  value: Scene["value"]
  wait?: Wait
  draft?: Draft & { text: string; tail: string }
  readonly sessions: Set<Session>
}

export class Rooms {
  readonly #rooms = new Map<string, Room>()

  /** Bounded by the pages that are open and the turns that are under way. */
  get all(): Iterable<Room> {
    return this.#rooms.values()
  }

  get(thread: string): Room | undefined {
    return this.#rooms.get(thread)
  }

  open(thread: string): Room {
    const known = this.#rooms.get(thread)
    if (known !== undefined) return known
    const room: Room = { thread, seq: 0, turn: 0, value: "done", sessions: new Set() }
    this.#rooms.set(thread, room)
    return room
  }

  leave(room: Room, session: Session): void {
    room.sessions.delete(session)
    this.#forget(room)
  }

  show(thread: string, glimpse: Glimpse): void {
    const room = this.open(thread)
    if (glimpse.type === "recorded") record(room, glimpse)
    else add(room, glimpse)
    for (const session of room.sessions) session.update()
    this.#forget(room)
  }

  #forget(room: Room): void {
    if (room.sessions.size === 0 && room.value === "done") this.#rooms.delete(room.thread)
  }
}

function record(room: Room, { attempt, seq, turn, value }: Extract<Glimpse, { readonly type: "recorded" }>): void {
  room.seq = Math.max(room.seq, seq)
  room.turn = turn
  // A message that is collected while the model speaks is recorded before the record knows that it does.
  const isAnswering = value === "awaiting-model" || value === "streaming"
  if (isAnswering && room.draft?.turn === turn && room.draft.attempt >= attempt) return
  room.value = value
  delete room.draft
  delete room.wait
}

function add(room: Room, { at, attempt, text, turn }: Extract<Glimpse, { readonly type: "text" }>): void {
  room.value = "streaming"
  delete room.wait
  const { draft } = room
  if (draft !== undefined && draft.turn === turn && draft.attempt === attempt && draft.text.length === at) {
    draft.text += text
    draft.tail = text
  } else if (at === 0) room.draft = { turn, attempt, text, tail: text }
}
