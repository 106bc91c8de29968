/** Starts counterparts.ts, and asks it what it saw. */
import { fork } from "node:child_process"
import { join } from "node:path"

/** 160 characters, which is a short answer. */
export const answerText =
  "Take the drum's transport bolts first, then carry it upright with two people and straps; never tilt it on the side " +
  "of the control board, and rest on landings."

export type Asked =
  | { readonly type: "telling"; readonly isOn: boolean }
  | { readonly type: "what"; readonly forget: boolean }

export type Told =
  | { readonly type: "listening"; readonly model: number; readonly callback: number }
  | { readonly type: "delivered"; readonly threads: ReadonlyArray<string> }
  | { readonly type: "seen"; readonly askedMs: ReadonlyArray<readonly [number, number]>; readonly delivered: number }

export interface Seen {
  /** Message number → when the model was first asked about it, on the monotonic clock. */
  readonly askedMs: ReadonlyMap<number, number>
  readonly delivered: number
}

export interface Counterparts extends Disposable {
  readonly modelPort: number
  readonly callbackPort: number
  /** Since the last time it was told to forget. */
  readonly seen: (forget?: boolean) => Promise<Seen>
  /** Called with the threads of replies as they arrive, until the next call. */
  readonly onDelivered: (listener: ((threads: ReadonlyArray<string>) => void) | undefined) => void
}

/** `deltas` is in how many pieces the model gives its answer; all come in one write. */
export async function openCounterparts(deltas = 8): Promise<Counterparts> {
  const child = fork(join(import.meta.dirname, "counterparts.ts"), [String(deltas)], { stdio: "inherit" })
  const ask = (asked: Asked) => child.send(asked)
  let listener: ((threads: ReadonlyArray<string>) => void) | undefined
  const next = <T extends Told["type"]>(type: T) =>
    new Promise<Extract<Told, { readonly type: T }>>((resolve) => {
      const hear = (told: Told) => {
        if (told.type !== type) return
        child.off("message", hear)
        resolve(told as Extract<Told, { readonly type: T }>)
      }
      child.on("message", hear)
    })
  child.on("message", (told: Told) => {
    if (told.type === "delivered") listener?.(told.threads)
  })
  const { callback, model } = await next("listening")
  return {
    modelPort: model,
    callbackPort: callback,
    seen: async (forget = false) => {
      ask({ type: "what", forget })
      const { askedMs, delivered } = await next("seen")
      return { askedMs: new Map(askedMs), delivered }
    },
    onDelivered: (given) => {
      listener = given
      ask({ type: "telling", isOn: given !== undefined })
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL")
  }
}
