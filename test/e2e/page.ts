/** The page as a person sees it. */
import type { Page } from "playwright-core"

export const box = (page: Page) => page.getByRole("textbox", { name: "Message" })
export const log = (page: Page) => page.getByRole("log")
/** Finished ones, of both. */
export const said = (page: Page) => log(page).getByRole("article")
export const growing = (page: Page) => page.locator("section.growing")

/** What is written of the answer so far; empty when none is. */
export const growingText = async (page: Page) =>
  (await growing(page)
    .textContent()
    .catch(() => "")) ?? ""

export async function write(page: Page, text: string): Promise<void> {
  await box(page).fill(text)
  await box(page).press("Enter")
}

/** Opens a conversation of the side list. */
export const openListed = (page: Page, title: string) =>
  page.getByRole("navigation", { name: "Conversations" }).locator("button.open", { hasText: title }).click()

/** What stands in each message, without its time. */
export async function textsOf(page: Page): Promise<ReadonlyArray<string>> {
  const texts = await said(page).evaluateAll((articles) =>
    articles.map((article) => {
      const copy = article.cloneNode(true) as HTMLElement
      for (const extra of copy.querySelectorAll("h2.off-screen, .meta, .actions")) extra.remove()
      return copy.textContent?.replaceAll(/\s+/g, " ").trim() ?? ""
    })
  )
  return texts
}

export async function answered(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    (wanted) => document.querySelectorAll('[role="log"] article.assistant').length >= wanted,
    count,
    { timeout: 30_000 }
  )
}
