/** What people who order say, and what they are told by version 2. */

/** What is said, `> so`, and heard, `< so`, in turn. Lines that are said in a row are said without waiting. */
export type Dialogue = ReadonlyArray<`> ${string}` | `< ${string}`>

/** Waits for every reminder. */
export const silent: Dialogue = [
  "> hello",
  "< 1. What would you like to order?",
  "< Are you still there? What would you like to order?",
  "> tea",
  "< 2. How many of it?",
  "< Are you still there? How many of it?",
  "> many",
  "< That is no number. How many of it?",
  "> 3",
  "< 3. Where shall it go?",
  "< Are you still there? Where shall it go?",
  "> 1 Harbour Street",
  "< Order 1 is placed."
]

/** Never waits. */
export const brisk: Dialogue = [
  "> hello",
  "< 1. What would you like to order?",
  "> tea",
  "< 2. How many of it?",
  "> 3",
  "< 3. Where shall it go?",
  "> 1 Harbour Street",
  "< Order 1 is placed."
]

/** Says everything at once. */
export const hasty: Dialogue = [
  "> hello",
  "> tea",
  "> 3",
  "> 1 Harbour Street",
  "< 1. What would you like to order?",
  "< 2. How many of it?",
  "< 3. Where shall it go?",
  "< Order 1 is placed."
]

/** Cancels, cancels what is cancelled, and orders after all. */
export const fickle: Dialogue = [
  "> hello",
  "< 1. What would you like to order?",
  "> tea",
  "< 2. How many of it?",
  "> Cancel",
  "< Nothing is ordered.",
  "> cancel",
  "> hello again",
  "< 1. What would you like to order?",
  "> coffee",
  "< 2. How many of it?",
  "> 2",
  "< 3. Where shall it go?",
  "> 1 Harbour Street",
  "< Order 1 is placed."
]

/** A dialogue up to that line. */
export const said = (dialogue: Dialogue, to: string) => dialogue.slice(0, dialogue.indexOf(to as Dialogue[number]) + 1)

/** A dialogue behind that line. */
export const rest = (dialogue: Dialogue, from: string) => dialogue.slice(said(dialogue, from).length)
