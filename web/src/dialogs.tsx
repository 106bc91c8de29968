/** Questions to the person. The browser's own dialogs hold the focus, close on Escape, and give the focus back. */
import type { ComponentChildren } from "preact"
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { useWords } from "./language.tsx"
import type { Entry } from "./shelf.ts"

export interface ModalProps {
  readonly className: string
  readonly label: string
  readonly close: () => void
  readonly children: ComponentChildren
}

/** Open as long as it is there. */
export function Modal({ className, label, close, children }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const isGone = useRef(false)
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => {
      isGone.current = true
      shown?.close()
    }
  }, [])
  const closeOutside = (event: MouseEvent) => {
    if (event.target === dialog.current) close()
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard has Escape, which the browser hears
    <dialog
      ref={dialog}
      class={className}
      aria-label={label}
      onClick={closeOutside}
      // Escape closes it without asking `cancel` first when the person has pressed nothing else since it opened.
      onClose={() => {
        if (!isGone.current) close()
      }}
    >
      <div class="inside">{children}</div>
    </dialog>
  )
}

interface QuestionProps {
  readonly entry: Entry
  readonly close: () => void
}

export function RenameDialog({ entry, close, save }: QuestionProps & { readonly save: (title: string) => void }) {
  const words = useWords()
  const [title, setTitle] = useState(entry.title)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.select(), [])
  const submit = (event: Event) => {
    event.preventDefault()
    if (title.trim() !== "") save(title.trim())
    close()
  }
  return (
    <Modal className="question" label={words.renameTitle} close={close}>
      <form onSubmit={submit}>
        <h2>{words.renameTitle}</h2>
        <label>
          {words.renameLabel}
          <input
            ref={input}
            value={title}
            maxLength={80}
            autoComplete="off"
            onInput={(event) => setTitle(event.currentTarget.value)}
          />
        </label>
        <p class="buttons">
          <button type="button" onClick={close}>
            {words.cancel}
          </button>
          <button type="submit" class="primary">
            {words.save}
          </button>
        </p>
      </form>
    </Modal>
  )
}

export function RemoveDialog({ entry, close, remove }: QuestionProps & { readonly remove: () => void }) {
  const words = useWords()
  return (
    <Modal className="question" label={words.removeTitle} close={close}>
      <h2>{words.removeTitle}</h2>
      <p>{words.removeText(entry.title)}</p>
      <p class="buttons">
        <button type="button" onClick={close}>
          {words.cancel}
        </button>
        <button type="button" class="primary danger" onClick={remove}>
          {words.removeYes}
        </button>
      </p>
    </Modal>
  )
}
