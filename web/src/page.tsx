/** The whole page: the list beside the conversation, or over it where there is no room. */

import type { ComponentChildren } from "preact"
import { useEffect, useMemo, useState } from "preact/hooks"
import { logOut, textStore, uuid } from "./browser.ts"
import { Chat } from "./chat.tsx"
import { composerId } from "./composer.tsx"
import { Modal, RemoveDialog, RenameDialog } from "./dialogs.tsx"
import { useLogin, useMedia, useSession, useStorageOfOthers } from "./hooks.ts"
import { Icon } from "./icons.tsx"
import { Spoken, useWords } from "./language.tsx"
import { chooseLanguage, chooseTheme, chosenTheme, preferredLanguage } from "./preferences.ts"
import { type Entry, Shelf } from "./shelf.ts"
import { SideList } from "./side-list.tsx"
import { wordsFor } from "./words.ts"

const store = textStore("localStorage")
/** A tab shows its conversation again after a reload; another tab shows another one. */
const tabStore = textStore("sessionStorage")
const currentName = "parley.current"
const shelf = new Shelf(store)

type Question = { readonly kind: "rename" | "remove"; readonly entry: Entry }

export function Page() {
  const [current, setCurrent] = useState(() => tabStore.get(currentName) ?? uuid())
  const [question, ask] = useState<Question>()
  const [isListOpen, setListOpen] = useState(false)
  const isWide = useMedia("(min-width: 52rem)")
  const look = useLook()
  const login = useLogin()
  const session = useSession(current, shelf, login.check)
  const refresh = useStorageOfOthers()
  const entries = shelf.entries()

  const open = (key: string) => {
    tabStore.set(currentName, key)
    setCurrent(key)
    setListOpen(false)
  }
  const remove = (entry: Entry) => {
    shelf.remove(entry.key)
    ask(undefined)
    if (entry.key === current) open(uuid())
    refresh()
  }
  const rename = (entry: Entry, title: string) => {
    shelf.rename(entry.key, title)
    refresh()
  }
  useEffect(() => tabStore.set(currentName, current), [current])

  const list = (
    <SideList
      {...look}
      entries={entries}
      unsent={shelf.keysOfUnsent()}
      current={current}
      canLogOut={login.canLogOut}
      begin={() => open(entries.some(({ key }) => key === current) ? uuid() : current)}
      open={open}
      rename={(entry) => ask({ kind: "rename", entry })}
      remove={(entry) => ask({ kind: "remove", entry })}
      logOut={() => void logOut()}
    />
  )
  const title = entries.find(({ key }) => key === current)?.title
  return (
    <Spoken.Provider value={look.words}>
      <div class="page">
        <Skip />
        {isWide ? <aside class="side">{list}</aside> : null}
        <div class="stage">
          <Top title={title} openList={isWide ? undefined : () => setListOpen(true)} />
          <Chat key={current} session={session} isGuide={login.isGuide} />
        </div>
        {isListOpen && !isWide ? <Drawer close={() => setListOpen(false)}>{list}</Drawer> : null}
        {question?.kind === "rename" ? (
          <RenameDialog
            entry={question.entry}
            close={() => ask(undefined)}
            save={(title) => rename(question.entry, title)}
          />
        ) : null}
        {question?.kind === "remove" ? (
          <RemoveDialog entry={question.entry} close={() => ask(undefined)} remove={() => remove(question.entry)} />
        ) : null}
      </div>
    </Spoken.Provider>
  )
}

function Skip() {
  const words = useWords()
  return (
    <button type="button" class="skip" onClick={() => document.getElementById(composerId)?.focus()}>
      {words.skip}
    </button>
  )
}

function Top({ title, openList }: { readonly title: string | undefined; readonly openList: (() => void) | undefined }) {
  const words = useWords()
  return (
    <header class="top">
      {openList === undefined ? null : (
        <button type="button" class="round bare" aria-label={words.openList} aria-haspopup="dialog" onClick={openList}>
          <Icon name="menu" />
        </button>
      )}
      <h1>{title ?? words.title}</h1>
    </header>
  )
}

function Drawer({ close, children }: { readonly close: () => void; readonly children: ComponentChildren }) {
  const words = useWords()
  return (
    <Modal className="drawer" label={words.conversations} close={close}>
      <button type="button" class="round bare close" aria-label={words.closeList} onClick={close}>
        <Icon name="close" />
      </button>
      {children}
    </Modal>
  )
}

/** Colours and language, said to the document and kept. */
function useLook() {
  const [chosen, setChosen] = useState(() => chosenTheme(store))
  const [language, setLanguage] = useState(() => preferredLanguage(store, navigator.languages))
  const words = useMemo(() => wordsFor(language, navigator.languages), [language])
  const isDark = useMedia("(prefers-color-scheme: dark)")
  useEffect(() => {
    const { dataset } = document.documentElement
    if (chosen === undefined) delete dataset["theme"]
    else dataset["theme"] = chosen
  }, [chosen])
  useEffect(() => {
    document.documentElement.lang = words.locale
  }, [words])
  return {
    theme: chosen ?? (isDark ? "dark" : "light"),
    language,
    words,
    setTheme: (theme: "dark" | "light") => {
      chooseTheme(store, theme)
      setChosen(theme)
    },
    setLanguage: (one: typeof language) => {
      chooseLanguage(store, one)
      setLanguage(one)
    }
  }
}
