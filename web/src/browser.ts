/** What the page takes from the browser: the only file that asks for the time, chance, timers and storage. */
import type { Socket } from "./connection.ts"
import type { TextStore } from "./shelf.ts"

export const now = (): number => Date.now()
export const random = (): number => Math.random()

export function after(delayMs: number, then: () => void): () => void {
  const timer = setTimeout(then, delayMs)
  return () => clearTimeout(timer)
}

/** `crypto.randomUUID` is there in a secure context only: not on http://192.168.… */
export function uuid(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
}

export function openSocket(): Socket {
  const scheme = location.protocol === "https:" ? "wss" : "ws"
  return new WebSocket(`${scheme}://${location.host}/ws`) as Socket
}

/** A browser may refuse to store, or have no room: then the page remembers until it is closed. */
export function textStore(which: "localStorage" | "sessionStorage"): TextStore {
  const memory = new Map<string, string>()
  return {
    get: (name) => {
      if (memory.has(name)) return memory.get(name)
      try {
        return window[which].getItem(name) ?? undefined
      } catch {
        return undefined
      }
    },
    set: (name, text) => {
      try {
        window[which].setItem(name, text)
        memory.delete(name)
      } catch {
        memory.set(name, text)
      }
    }
  }
}

export type SessionAnswer =
  | { readonly mayEnter: false }
  | {
      readonly mayEnter: true
      readonly canLogOut: boolean
      /** Parley's own small model answers, which knows little but Parley. */
      readonly isGuide: boolean
    }

/** Whether this browser may talk to the server; nothing when it does not answer. */
export async function askSession(): Promise<SessionAnswer | undefined> {
  try {
    const response = await fetch("/api/session", { cache: "no-store" })
    if (response.status === 401) return { mayEnter: false }
    if (!response.ok) return undefined
    const session: unknown = await response.json()
    const { login, model } = (session ?? {}) as { readonly login?: unknown; readonly model?: unknown }
    return { mayEnter: true, canLogOut: login === true, isGuide: model === "built-in" }
  } catch {
    return undefined
  }
}

export async function logOut(): Promise<void> {
  await fetch("/logout", { method: "POST" }).catch(() => undefined)
  location.reload()
}

/** Without a secure context there is no clipboard API; the old way works from a click. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const focused = document.activeElement
  const area = document.createElement("textarea")
  area.value = text
  area.readOnly = true
  area.className = "off-screen"
  document.body.append(area)
  area.select()
  try {
    return document.execCommand("copy")
  } catch {
    return false
  } finally {
    area.remove()
    if (focused instanceof HTMLElement) focused.focus()
  }
}
