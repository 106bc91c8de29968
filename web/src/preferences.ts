/** Colours and language: what the person chose, else what the browser says. */
import type { TextStore } from "./shelf.ts"
import { type Language, languageOf, languages } from "./words.ts"

export type Theme = "light" | "dark"

const themeName = "parley.theme"
const languageName = "parley.language"

export function chosenTheme(store: TextStore): Theme | undefined {
  const theme = store.get(themeName)
  return theme === "light" || theme === "dark" ? theme : undefined
}

export const chooseTheme = (store: TextStore, theme: Theme): void => store.set(themeName, theme)

export function preferredLanguage(store: TextStore, ofBrowser: ReadonlyArray<string>): Language {
  const chosen = store.get(languageName)
  return languages.find((language) => language === chosen) ?? languageOf(ofBrowser)
}

export const chooseLanguage = (store: TextStore, language: Language): void => store.set(languageName, language)
