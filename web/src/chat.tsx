/** One conversation on the screen. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { Composer } from "./composer.tsx"
import { isCaughtUp } from "./conversation.ts"
import { Icon } from "./icons.tsx"
import { useWords } from "./language.tsx"
import { ConnectionLine, LiveLine } from "./live-line.tsx"
import { Growing, MessageList } from "./message-list.tsx"
import type { Session } from "./session.ts"

/** So near to the end a person reads the newest, and goes on to. */
const nearPx = 64

interface ChatProps {
  readonly session: Session
  /** Undefined until the server has said which model answers. */
  readonly isGuide: boolean | undefined
}

export function Chat({ isGuide, session }: ChatProps) {
  const { state, status } = session
  const { draft, live, messages, outgoing } = state
  const end = useEnd()
  const hasHistory = isCaughtUp(state)
  const isEmpty = messages.length === 0 && outgoing.length === 0
  const canStop = state.isLive && (live.value === "streaming" || live.value === "awaiting-model")
  useEscape(canStop, () => session.stop())

  // The same vnode is not compared again: a growing answer costs nothing above it.
  const list = useMemo(
    () => (
      <MessageList
        messages={messages}
        outgoing={outgoing}
        isCaughtUp={hasHistory}
        sendAgain={(id) => session.sendAgain(id)}
        discard={(id) => session.discard(id)}
      />
    ),
    [session, messages, outgoing, hasHistory]
  )
  const send = (text: string) => {
    end.follow()
    session.write(text)
  }
  return (
    <main class="chat">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <div class="scroller" ref={end.scroller} onScroll={end.watch} tabIndex={0}>
        <div class="column" ref={end.content}>
          {isEmpty && (hasHistory || state.id === undefined) ? <Hello isGuide={isGuide} send={send} /> : null}
          {list}
          {draft === undefined ? null : <Growing draft={draft} />}
          <LiveLine live={live} isDrafted={(draft?.text ?? "") !== ""} />
        </div>
      </div>
      <div class="foot">
        {end.isNear ? null : <Newest go={end.follow} />}
        <ConnectionLine status={status} wake={() => session.wake()} />
        <Composer canStop={canStop} send={send} typing={() => session.typing()} stop={() => session.stop()} />
      </div>
    </main>
  )
}

interface HelloProps {
  readonly isGuide: boolean | undefined
  readonly send: (text: string) => void
}

function Hello({ isGuide, send }: HelloProps) {
  const words = useWords()
  if (isGuide === undefined) return null
  const { examples, text, title } = isGuide ? words.guide : words.hello
  return (
    <div class="hello">
      <h2>{title}</h2>
      <p>{text}</p>
      <ul>
        {examples.map((example) => (
          <li key={example}>
            <button type="button" onClick={() => send(example)}>
              {example}
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}

function Newest({ go }: { readonly go: () => void }) {
  const words = useWords()
  return (
    <button type="button" class="newest" onClick={go}>
      <Icon name="down" />
      {words.newest}
    </button>
  )
}

/** Keeps the end in sight while the person is at it, whatever grows, and leaves them alone when they are not. */
function useEnd() {
  const scroller = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const [isNear, setNear] = useState(true)
  const follows = useRef(true)
  const top = useRef(0)
  const toEnd = () => {
    const { current } = scroller
    if (current !== null) current.scrollTop = current.scrollHeight
  }
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (follows.current) toEnd()
    })
    for (const { current } of [scroller, content]) if (current !== null) observer.observe(current)
    return () => observer.disconnect()
  }, [])
  const watch = () => {
    const { current } = scroller
    if (current === null) return
    const isAtEnd = current.scrollHeight - current.scrollTop - current.clientHeight < nearPx
    // What grew below moves nothing up: only a person does that.
    if (isAtEnd) follows.current = true
    else if (current.scrollTop < top.current) follows.current = false
    top.current = current.scrollTop
    setNear(follows.current)
  }
  const follow = () => {
    follows.current = true
    setNear(true)
    toEnd()
  }
  return { scroller, content, isNear, watch, follow }
}

function useEscape(isWanted: boolean, stop: () => void): void {
  useEffect(() => {
    if (!isWanted) return
    const press = (event: KeyboardEvent) => {
      const isOthers = event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]") !== null
      if (event.key === "Escape" && !isOthers) stop()
    }
    document.addEventListener("keydown", press)
    return () => document.removeEventListener("keydown", press)
  }, [isWanted, stop])
}
