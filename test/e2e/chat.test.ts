/** A person writes in a browser: streaming, stop, reload, a lost server, two tabs. */
import { afterAll, expect, test } from "vitest"
import { PageClient } from "../integration/page-client.ts"
import { chromiumPath, closeBrowser, complaintsOf, openContext, openPage } from "./browser.ts"
import { answered, box, growing, growingText, openListed, said, textsOf, write } from "./page.ts"
import { startParley } from "./parley.ts"
import { wordByWord } from "./scripted-model.ts"

const long = Array.from({ length: 30 }, (_, nth) => `word${nth}`).join(" ")
const scriptOf = (text: string) =>
  text.includes("slowly") ? wordByWord(long, 150) : wordByWord(`You said: ${text}`, 5)

const inBrowser = test.skipIf(chromiumPath === undefined)
afterAll(closeBrowser)

inBrowser("what is written is answered word by word, and there after a reload", async () => {
  const { address } = await startParley({ scriptOf })
  const page = await openPage(await openContext(), address)
  const complaints = complaintsOf(page)
  await write(page, "Tell me slowly")
  await growing(page).waitFor()
  const first = await growingText(page)
  await expect.poll(async () => (await growingText(page)).length).toBeGreaterThan(first.length)
  expect(long.startsWith(first.trim())).toBe(true)
  await answered(page, 1)
  expect(await textsOf(page)).toEqual(["Tell me slowly", long])
  await page.reload()
  await answered(page, 1)
  expect(await textsOf(page)).toEqual(["Tell me slowly", long])
  expect(complaints).toEqual([])
})

inBrowser("a stop keeps what was said so far, and the next message is answered", async () => {
  const { address, model } = await startParley({ scriptOf })
  const page = await openPage(await openContext(), address)
  await write(page, "Tell me slowly")
  await expect.poll(() => growingText(page)).toContain("word2")
  await page.getByRole("button", { name: "Stop the answer" }).click()
  await answered(page, 1)
  const [, answer = ""] = await textsOf(page)
  expect(long.startsWith(answer)).toBe(true)
  expect(answer.length).toBeLessThan(long.length)
  await write(page, "Go on")
  await answered(page, 2)
  expect((await textsOf(page)).slice(2)).toEqual(["Go on", "You said: Go on"])
  expect(model.asked()).toBe(2)
})

inBrowser("a server that is killed in mid-answer: the whole answer is shown once, and nothing is spliced", async () => {
  const { address, kill, model, restart } = await startParley({ scriptOf })
  const page = await openPage(await openContext(), address)
  const seen = await watchGrowing(page)
  await write(page, "Tell me slowly")
  await expect.poll(() => growingText(page)).toContain("word3")
  await kill()
  await page.getByText("Not connected.").or(page.getByText("Connecting…")).first().waitFor()
  await write(page, "Written while you were away")
  await restart()
  await answered(page, 2)
  // In the order of the record: what was written meanwhile came before the answer was whole.
  expect(await textsOf(page)).toEqual([
    "Tell me slowly",
    "Written while you were away",
    long,
    "You said: Written while you were away"
  ])
  expect(model.asked()).toBe(3)
  for (const text of await seen()) expect(isBeginningOf(text)).toBe(true)
})

inBrowser("two tabs of one conversation show the same", async () => {
  const { address } = await startParley({ scriptOf })
  const context = await openContext()
  const one = await openPage(context, address)
  await write(one, "First")
  await answered(one, 1)
  const two = await openPage(context, address)
  await openListed(two, "First")
  await answered(two, 1)
  await write(two, "Second, slowly")
  await growing(one).waitFor()
  await answered(one, 2)
  await answered(two, 2)
  expect(await textsOf(one)).toEqual(await textsOf(two))
  expect(await textsOf(one)).toEqual(["First", "You said: First", "Second, slowly", long])
})

inBrowser("several conversations stand in a list, and keep apart", async () => {
  const { address } = await startParley({ scriptOf })
  const page = await openPage(await openContext(), address)
  await write(page, "About cats")
  await answered(page, 1)
  await page.getByRole("button", { name: "New conversation" }).click()
  await expect.poll(() => said(page).count()).toBe(0)
  await write(page, "About dogs")
  await answered(page, 1)
  expect(await textsOf(page)).toEqual(["About dogs", "You said: About dogs"])
  await openListed(page, "About cats")
  await expect.poll(() => textsOf(page)).toEqual(["About cats", "You said: About cats"])
  expect(page.url()).toBe(`${address}/`)
})

inBrowser(
  "who waits is told how many are before them, and how long it takes; code is copied with a click",
  async () => {
    const code = wordByWord("```ts\nconst answer = 42\n```", 0)
    const { address } = await startParley({ scriptOf: (text) => (text === "code" ? code : scriptOf(text)) })
    const context = await openContext()
    await context.grantPermissions(["clipboard-read", "clipboard-write"])
    const page = await openPage(context, address)
    // As many as are answered together, and two who wait before this page.
    const others = Array.from({ length: 18 }, () => new PageClient(`${address.replace("http", "ws")}/ws`))
    for (const other of others) {
      await other.connect()
      await other.write("slowly")
    }
    await write(page, "code")
    await page.getByText(/2 ahead of you, about \d+ s/).waitFor()
    await answered(page, 1)
    await page.getByRole("button", { name: "Copy" }).click()
    await page.getByRole("button", { name: "Copied" }).waitFor()
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("const answer = 42")
    for (const other of others) other.cut()
  }
)

inBrowser("it is used with the keyboard alone", async () => {
  const { address } = await startParley({ scriptOf })
  const page = await openPage(await openContext(), address)
  await expect.poll(() => box(page).evaluate((area) => document.activeElement === area)).toBe(true)
  await page.keyboard.type("Tell me slowly")
  await page.keyboard.press("Shift+Enter")
  await page.keyboard.type("please")
  expect(await box(page).inputValue()).toBe("Tell me slowly\nplease")
  await page.keyboard.press("Enter")
  await expect.poll(() => growingText(page)).toContain("word2")
  await page.keyboard.press("Escape")
  await answered(page, 1)
  const reached = new Set<string>()
  for (let nth = 0; nth < 40; nth++) {
    await page.keyboard.press("Tab")
    reached.add(
      await page.evaluate(() => {
        const { activeElement } = document
        return activeElement?.getAttribute("aria-label") ?? activeElement?.textContent ?? ""
      })
    )
  }
  expect([...reached].join("|")).toContain("Message")
  expect([...reached].join("|")).toContain("New conversation")
})

/** Every text that the growing answer ever had. */
async function watchGrowing(page: Awaited<ReturnType<typeof openPage>>) {
  await page.evaluate(() => {
    const seen = new Set<string>()
    Object.assign(globalThis, { seenTexts: seen })
    const look = () => {
      const text = document.querySelector("section.growing")?.textContent
      if (text) seen.add(text)
    }
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
  })
  return () => page.evaluate(() => [...(globalThis as unknown as { seenTexts: Set<string> }).seenTexts])
}

const isBeginningOf = (text: string) =>
  [long, "You said: Written while you were away"].some((whole) => whole.startsWith(text.replaceAll(/\s+/g, " ").trim()))
