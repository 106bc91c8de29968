/** What happens at the moment, in a line: the place in the queue, or that there is no connection. */
import { useEffect, useState } from "preact/hooks"
import { after, now } from "./browser.ts"
import type { ConnectionStatus } from "./connection.ts"
import type { Conversation } from "./conversation.ts"
import { useWords } from "./language.tsx"
import type { Words } from "./words.ts"

/** A connection that takes no longer is not worth a word. */
const unmentionedMs = 700

export function LiveLine({ live, isDrafted }: Pick<Conversation, "live"> & { readonly isDrafted: boolean }) {
  const words = useWords()
  const text = liveText(live, isDrafted, words)
  return (
    <p class="live" role="status">
      {text === undefined ? null : (
        <>
          <span class="dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {text}
        </>
      )}
    </p>
  )
}

function liveText(live: Conversation["live"], isDrafted: boolean, words: Words): string | undefined {
  if (live.value === "awaiting-model") {
    return (live.loading ? words.loading : words.waiting)(live.ahead, live.waitMs)
  }
  if (live.value === "typing") return words.personTyping
  return live.value === "streaming" && !isDrafted ? words.writing : undefined
}

export function ConnectionLine({ status, wake }: { readonly status: ConnectionStatus; readonly wake: () => void }) {
  const words = useWords()
  const [isLong, setLong] = useState(false)
  useEffect(() => {
    if (status.phase === "live") return setLong(false)
    return after(unmentionedMs, () => setLong(true))
  }, [status.phase])
  const isShown = status.phase !== "live" && isLong
  return (
    <div class={`connection ${isShown ? "" : "empty"}`}>
      <span role="status">{isShown ? (status.phase === "waiting" ? words.offline : words.connecting) : null}</span>
      {isShown && status.phase === "waiting" ? (
        <>
          <Countdown untilMs={status.retryAtMs} />
          <button type="button" class="quiet small" onClick={wake}>
            {words.tryNow}
          </button>
        </>
      ) : null}
    </div>
  )
}

function Countdown({ untilMs }: { readonly untilMs: number }) {
  const words = useWords()
  const [nowMs, setNowMs] = useState(now)
  useEffect(() => after(1_000 - (nowMs % 1_000), () => setNowMs(now())), [nowMs])
  return <span>{words.retrying(Math.max(1, Math.ceil((untilMs - nowMs) / 1_000)))}</span>
}
