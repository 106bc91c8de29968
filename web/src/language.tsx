/** The words of the page's language, for every part of it. */
import { createContext } from "preact"
import { useContext } from "preact/hooks"
import { type Words, words } from "./words.ts"

export const Spoken = createContext<Words>(words.en)

export const useWords = (): Words => useContext(Spoken)
