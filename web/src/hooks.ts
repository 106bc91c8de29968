/** What the page listens to: its session, the window, other tabs. */
import { useCallback, useEffect, useMemo, useReducer, useState } from "preact/hooks"
import { after, askSession, now, openSocket, random, uuid } from "./browser.ts"
import { Session } from "./session.ts"
import type { Shelf } from "./shelf.ts"

/** Frames come by the hundred; the page is drawn once for all of a moment. */
const drawEveryMs = 16

export function useSession(key: string, shelf: Shelf, refused: () => void): Session {
  const [, draw] = useReducer((count: number, _: undefined) => count + 1, 0)
  const session = useMemo(() => {
    let isScheduled = false
    const changed = () => {
      if (isScheduled) return
      isScheduled = true
      after(drawEveryMs, () => {
        isScheduled = false
        draw(undefined)
      })
    }
    return new Session(key, { now, random, after, open: openSocket, uuid, shelf, changed, refused })
  }, [key])
  useEffect(() => {
    const wake = () => {
      if (document.visibilityState === "visible") session.wake()
    }
    window.addEventListener("online", wake)
    document.addEventListener("visibilitychange", wake)
    return () => {
      window.removeEventListener("online", wake)
      document.removeEventListener("visibilitychange", wake)
      session.close()
    }
  }, [session])
  return session
}

export function useLogin() {
  const [known, setKnown] = useState<{ readonly canLogOut: boolean; readonly isGuide: boolean }>()
  const check = useCallback(() => {
    void askSession().then((answer) => {
      if (answer === undefined) return
      if (answer.mayEnter) setKnown(answer)
      else location.assign("/login")
    })
  }, [])
  useEffect(check, [])
  return { canLogOut: known?.canLogOut === true, isGuide: known?.isGuide, check }
}

/** Draws anew when another tab changes what is stored; returns what draws anew after a change of our own. */
export function useStorageOfOthers(): () => void {
  const [, draw] = useReducer((count: number, _: undefined) => count + 1, 0)
  useEffect(() => {
    const changed = () => draw(undefined)
    window.addEventListener("storage", changed)
    return () => window.removeEventListener("storage", changed)
  }, [])
  return () => draw(undefined)
}

export function useMedia(query: string): boolean {
  const [isTrue, setTrue] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const media = matchMedia(query)
    const changed = () => setTrue(media.matches)
    media.addEventListener("change", changed)
    return () => media.removeEventListener("change", changed)
  }, [query])
  return isTrue
}
