/** A text of the model: a final one is read once, a growing one again and again, but never too often. */
import type { JSX } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"
import { after, now } from "./browser.ts"
import { type MarkdownParts, renderMarkdown } from "./markdown.ts"
import { markdownParts } from "./markdown-parts.tsx"
import { plainText } from "./plain-text.ts"
import { hasTime, soon } from "./slices.ts"

/** Longer ones are shown as they are: reading one takes most of a second on a slow machine. */
const finalMax = 60_000
const draftMax = 20_000
/** A text that is read at once, when there is time; a longer one waits for its slice. */
const atOnceMax = 8_000
const draftEveryMs = 80

const read = (text: string, lengthMax: number, parts: MarkdownParts = markdownParts): JSX.Element =>
  renderMarkdown(text, parts, lengthMax)

export function FinalText({ text }: { readonly text: string }) {
  const [body, setBody] = useState<JSX.Element | undefined>(() =>
    text.length <= atOnceMax && hasTime() ? read(text, finalMax) : undefined
  )
  useEffect(() => (body === undefined ? soon(() => setBody(read(text, finalMax))) : undefined), [])
  return body ?? plainText(text)
}

export function GrowingText({ text }: { readonly text: string }) {
  const [body, setBody] = useState<JSX.Element>(() => read(text, draftMax))
  const latest = useRef(text)
  const pauseMs = useRef(draftEveryMs)
  const cancel = useRef<(() => void) | undefined>(undefined)
  latest.current = text
  useEffect(() => {
    cancel.current ??= after(pauseMs.current, () => {
      cancel.current = undefined
      const startMs = now()
      setBody(read(latest.current, draftMax))
      pauseMs.current = Math.max(draftEveryMs, 4 * (now() - startMs))
    })
  }, [text])
  useEffect(() => () => cancel.current?.(), [])
  return body
}
