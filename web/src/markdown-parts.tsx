/** The parts of a rendered text that do something: only when they are pressed. */
import { useEffect, useState } from "preact/hooks"
import { after, copyText } from "./browser.ts"
import { Icon } from "./icons.tsx"
import { useWords } from "./language.tsx"
import type { MarkdownParts } from "./markdown.ts"

/** How long a button says that it was done. */
const copiedMs = 2_000

export const markdownParts: MarkdownParts = { CodeBlock, RemoteImage, TaskBox }

function CodeBlock({ code, language }: { readonly code: string; readonly language: string | undefined }) {
  const words = useWords()
  const label = language ?? words.code
  return (
    <figure class="code">
      <figcaption>
        <span>{label}</span>
        <CopyButton text={code} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
    </figure>
  )
}

function CopyButton({ text }: { readonly text: string }) {
  const words = useWords()
  const [said, say] = useState<"copy" | "copied" | "copyFailed">("copy")
  useEffect(() => (said === "copy" ? undefined : after(copiedMs, () => say("copy"))), [said])
  const copy = () => void copyText(text).then((isCopied) => say(isCopied ? "copied" : "copyFailed"))
  return (
    <button type="button" class="quiet small" onClick={copy}>
      <span aria-live="polite">{words[said]}</span>
    </button>
  )
}

function RemoteImage({ src, host, alt }: { readonly src: string; readonly host: string; readonly alt: string }) {
  const words = useWords()
  const [state, setState] = useState<"hidden" | "shown" | "failed">("hidden")
  if (state === "failed") return <span class="image-failed">{words.imageFailed(host)}</span>
  if (state === "shown") {
    return <img src={src} alt={alt} referrerpolicy="no-referrer" loading="lazy" onError={() => setState("failed")} />
  }
  return (
    <button type="button" class="show-image" onClick={() => setState("shown")}>
      <Icon name="image" />
      <span>
        {words.showImage(host)}
        {alt === "" ? null : <small>{alt}</small>}
      </span>
    </button>
  )
}

function TaskBox({ isDone }: { readonly isDone: boolean }) {
  const words = useWords()
  return <input type="checkbox" checked={isDone} disabled aria-label={isDone ? words.taskDone : words.taskOpen} />
}
