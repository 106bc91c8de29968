/** What was said, in order, and below it the answer that is being written. */
import { Fragment } from "preact"
import { useEffect, useState } from "preact/hooks"
import { after, now } from "./browser.ts"
import type { Conversation, Draft, Message, Outgoing } from "./conversation.ts"
import { useWords } from "./language.tsx"
import { FinalText, GrowingText } from "./markdown-text.tsx"
import { plainText } from "./plain-text.ts"
import { dayOf, isSameDay, machineTimeOf, timeOf } from "./times.ts"
import type { Words } from "./words.ts"

export interface OutgoingActions {
  readonly sendAgain: (id: string) => void
  readonly discard: (id: string) => void
}

interface MessageListProps extends OutgoingActions, Pick<Conversation, "messages" | "outgoing"> {
  readonly isCaughtUp: boolean
}

/** After history came: what is added later is news, and is read aloud. */
const quietMs = 800

export function MessageList({ messages, outgoing, isCaughtUp, ...actions }: MessageListProps) {
  const words = useWords()
  const [isSpoken, setSpoken] = useState(false)
  useEffect(() => (isCaughtUp ? after(quietMs, () => setSpoken(true)) : undefined), [isCaughtUp])
  const nowMs = now()
  return (
    <div
      class="log"
      role="log"
      aria-label={words.log}
      aria-live={isSpoken ? "polite" : "off"}
      aria-relevant="additions"
    >
      {messages.map((message, index) => {
        const before = messages[index - 1]
        const isNewDay = before === undefined || !isSameDay(before.atMs, message.atMs)
        return (
          <Fragment key={message.id ?? message.seq}>
            {isNewDay ? <p class="day">{dayOf(message.atMs, nowMs, words)}</p> : null}
            {message.role === "user" ? <Said message={message} /> : <Answered message={message} />}
          </Fragment>
        )
      })}
      {outgoing.map((one) => (
        <Fragment key={one.id}>
          <Said message={one} outgoing={one} actions={actions} />
        </Fragment>
      ))}
    </div>
  )
}

interface SaidProps {
  readonly message: Pick<Message, "text" | "atMs">
  readonly outgoing?: Outgoing
  readonly actions?: OutgoingActions
}

function Said({ message, outgoing, actions }: SaidProps) {
  const words = useWords()
  const isFailed = outgoing?.status === "failed"
  return (
    <article class={`message user ${isFailed ? "failed" : ""}`}>
      <h2 class="off-screen">{words.you}</h2>
      <div class="bubble">{plainText(message.text)}</div>
      <p class="meta">
        <Time atMs={message.atMs} />
        {outgoing === undefined ? null : <span>{statusOf(outgoing, words)}</span>}
      </p>
      {isFailed && actions !== undefined ? (
        <p class="actions">
          <button type="button" class="small" onClick={() => actions.sendAgain(outgoing.id)}>
            {words.sendAgain}
          </button>
          <button type="button" class="quiet small" onClick={() => actions.discard(outgoing.id)}>
            {words.discard}
          </button>
        </p>
      ) : null}
    </article>
  )
}

function Answered({ message }: { readonly message: Message }) {
  const words = useWords()
  if (message.role === "notice") {
    return (
      <p class="notice" role="status">
        <span>{message.text}</span> <Time atMs={message.atMs} />
      </p>
    )
  }
  return (
    <article class="message assistant">
      <h2 class="off-screen">{words.assistant}</h2>
      <FinalText key={message.seq} text={message.text} />
      <p class="meta">
        <Time atMs={message.atMs} />
      </p>
    </article>
  )
}

/** Outside the log: a screen reader is told of the whole answer, not of each word. */
export function Growing({ draft }: { readonly draft: Draft }) {
  const words = useWords()
  if (draft.text === "") return null
  return (
    <section class={`message assistant growing ${draft.isStale ? "stale" : ""}`} aria-label={words.writing}>
      <GrowingText key={`${draft.turn} ${draft.attempt}`} text={draft.text} />
    </section>
  )
}

function Time({ atMs }: { readonly atMs: number }) {
  return <time dateTime={machineTimeOf(atMs)}>{timeOf(atMs, useWords())}</time>
}

function statusOf({ status, reason }: Outgoing, words: Words): string {
  if (status === "accepted") return words.sent
  if (status === "waiting") return words.willSend
  if (status !== "failed") return words.sending
  return (reason !== undefined && words.failed[reason]) || words.failedOtherwise
}
