/** Where the person writes. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { Icon } from "./icons.tsx"
import { useWords } from "./language.tsx"

export interface ComposerProps {
  readonly canStop: boolean
  readonly send: (text: string) => void
  readonly typing: () => void
  readonly stop: () => void
}

export const composerId = "composer"

const growsByItself = CSS.supports("field-sizing", "content")

export function Composer({ canStop, send, typing, stop }: ComposerProps) {
  const words = useWords()
  const [text, setText] = useState("")
  const area = useRef<HTMLTextAreaElement>(null)
  const isEmpty = text.trim() === ""

  // On a touch screen the keyboard would cover half of what was said.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) area.current?.focus()
  }, [])
  useLayoutEffect(() => fitToText(area.current), [text])

  const submit = () => {
    if (isEmpty) return
    send(text)
    setText("")
    area.current?.focus()
  }
  const write = (written: string) => {
    setText(written)
    if (written.trim() !== "") typing()
  }
  const press = (event: KeyboardEvent) => {
    // Enter also ends the composition of a character, which Safari says by the number alone.
    const isComposing = event.isComposing || event.keyCode === 229
    if (event.key !== "Enter" || event.shiftKey || isComposing) return
    event.preventDefault()
    submit()
  }
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      <textarea
        id={composerId}
        ref={area}
        rows={1}
        value={text}
        placeholder={words.placeholder}
        aria-label={words.composer}
        aria-describedby="composer-hint"
        enterkeyhint="send"
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={press}
      />
      {canStop ? (
        <button type="button" class="round stop" onClick={stop} aria-label={words.stop} title={words.stop}>
          <Icon name="stop" />
        </button>
      ) : null}
      <button type="submit" class="round primary" disabled={isEmpty} aria-label={words.send} title={words.send}>
        <Icon name="send" />
      </button>
      <p id="composer-hint" class="hint">
        {words.hint}
      </p>
    </form>
  )
}

function fitToText(area: HTMLTextAreaElement | null): void {
  if (area === null || growsByItself) return
  area.style.height = "auto"
  area.style.height = `${area.scrollHeight}px`
}
