/** The first page of a newcomer: the guide greets, offers three questions, and answers what is clicked. */
import { afterAll, expect, test } from "vitest"
import { worked } from "../../models/train/arithmetic.ts"
import { answerOf } from "../../models/train/facts.ts"
import { wordsFor } from "../../web/src/words.ts"
import { chromiumPath, closeBrowser, openContext, openPage } from "./browser.ts"
import { answered, textsOf } from "./page.ts"
import { startParley } from "./parley.ts"
import { wordByWord } from "./scripted-model.ts"

const inBrowser = test.skipIf(chromiumPath === undefined)
afterAll(closeBrowser)

const scriptOf = () => wordByWord("Something else", 5)
const { guide, hello } = wordsFor("en", [])

inBrowser("without a configured model the guide greets, and its examples are answered", async () => {
  const { address } = await startParley({ scriptOf, env: { PARLEY_MODEL: "" } })
  const page = await openPage(await openContext(), address)
  await page.getByText(answerOf("greet", "en")).waitFor()
  const wanted = [answerOf("bigger-model", "en"), answerOf("guarantees", "en"), worked("add", 47, 85, "en")]
  for (const [nth, example] of guide.examples.entries()) {
    await page.getByRole("button", { name: "New conversation" }).click()
    await page.getByRole("button", { name: example }).click()
    await answered(page, 1)
    expect(await textsOf(page)).toEqual([example, wanted[nth]])
  }
})

inBrowser("another model is asked other things", async () => {
  const { address } = await startParley({ scriptOf })
  const page = await openPage(await openContext(), address)
  await page.getByText(hello.text).waitFor()
  expect(await page.getByRole("button", { name: guide.examples[0]! }).count()).toBe(0)
  await page.getByRole("button", { name: hello.examples[0]! }).click()
  await answered(page, 1)
})
