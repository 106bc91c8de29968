/** The conversations of this browser, and the settings of the page. */
import { now } from "./browser.ts"
import { Icon } from "./icons.tsx"
import { useWords } from "./language.tsx"
import type { Theme } from "./preferences.ts"
import type { Entry } from "./shelf.ts"
import { dayOf, isSameDay, machineTimeOf, timeOf } from "./times.ts"
import { words as allWords, type Language, languages, type Words } from "./words.ts"

export interface SideListProps {
  readonly entries: ReadonlyArray<Entry>
  /** Keys of conversations with messages that were not accepted yet. */
  readonly unsent: ReadonlySet<string>
  readonly current: string
  readonly theme: Theme
  readonly language: Language
  readonly canLogOut: boolean
  readonly begin: () => void
  readonly open: (key: string) => void
  readonly rename: (entry: Entry) => void
  readonly remove: (entry: Entry) => void
  readonly setTheme: (theme: Theme) => void
  readonly setLanguage: (language: Language) => void
  readonly logOut: () => void
}

export function SideList(props: SideListProps) {
  const words = useWords()
  return (
    <div class="side-list">
      <button type="button" class="wide" onClick={props.begin}>
        <Icon name="plus" />
        {words.newConversation}
      </button>
      <nav aria-label={words.conversations}>
        {props.entries.length === 0 ? <p class="faint">{words.noConversations}</p> : null}
        <ul>
          {props.entries.map((entry) => (
            <Item key={entry.key} entry={entry} {...props} />
          ))}
        </ul>
      </nav>
      <Settings {...props} />
    </div>
  )
}

function Item({ entry, current, unsent, open, rename, remove }: SideListProps & { readonly entry: Entry }) {
  const words = useWords()
  const { atMs, key, title } = entry
  return (
    <li class={key === current ? "current" : ""}>
      <button type="button" class="open" aria-current={key === current ? "true" : undefined} onClick={() => open(key)}>
        <span class="title">{title}</span>
        <small>
          <time dateTime={machineTimeOf(atMs)}>{shortTime(atMs, words)}</time>
          {unsent.has(key) ? ` · ${words.unsentHere}` : null}
        </small>
      </button>
      <button type="button" class="round bare" aria-label={words.rename(title)} onClick={() => rename(entry)}>
        <Icon name="pen" />
      </button>
      <button type="button" class="round bare" aria-label={words.remove(title)} onClick={() => remove(entry)}>
        <Icon name="bin" />
      </button>
    </li>
  )
}

const shortTime = (atMs: number, words: Words) =>
  isSameDay(atMs, now()) ? timeOf(atMs, words) : dayOf(atMs, now(), words)

function Settings({ theme, language, canLogOut, setTheme, setLanguage, logOut }: SideListProps) {
  const words = useWords()
  const other = theme === "dark" ? "light" : "dark"
  const themeWords = other === "dark" ? words.useDark : words.useLight
  const next = languages.find((one) => one !== language) ?? language
  return (
    <div class="settings">
      <button
        type="button"
        class="round bare"
        aria-label={themeWords}
        title={themeWords}
        onClick={() => setTheme(other)}
      >
        <Icon name={other === "dark" ? "moon" : "sun"} />
      </button>
      <button type="button" class="quiet" lang={allWords[next].locale} onClick={() => setLanguage(next)}>
        {allWords[next].languageName}
      </button>
      {canLogOut ? (
        <button type="button" class="quiet" onClick={logOut}>
          {words.logOut}
        </button>
      ) : null}
    </div>
  )
}
