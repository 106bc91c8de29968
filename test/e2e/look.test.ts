/** How the page looks, and whether everybody can use it. Pictures are kept where `PARLEY_PICTURES` says. */

import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { afterAll, expect, test } from "vitest"
import { chromiumPath, closeBrowser, complaintsOf, type Look, openContext, openPage } from "./browser.ts"
import { answered, write } from "./page.ts"
import { startParley } from "./parley.ts"

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const pictures = process.env["PARLEY_PICTURES"]

const answer = `Here is a small one, in **TypeScript**:

\`\`\`ts
export const double = (n: number): number => n * 2
\`\`\`

| n | double |
|---|-------:|
| 2 | 4 |
| 21 | 42 |

- [x] it compiles
- [ ] it is needed

See [the handbook](https://www.typescriptlang.org/docs/handbook/).`
const scriptOf = () => ({ deltas: [answer], delayMs: 0 })

interface Finding {
  readonly id: string
  readonly impact: string | null
  readonly nodes: ReadonlyArray<{ readonly html: string }>
}

/** https://github.com/dequelabs/axe-core */
async function findingsOf(page: Page): Promise<ReadonlyArray<string>> {
  await page.evaluate(axe)
  const violations = await page.evaluate(async () => {
    const { run } = (globalThis as unknown as { axe: { run: () => Promise<{ violations: ReadonlyArray<unknown> }> } })
      .axe
    return (await run()).violations
  })
  return (violations as ReadonlyArray<Finding>)
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}

const looks: ReadonlyArray<readonly [name: string, look: Look]> = [
  ["desktop-light", {}],
  ["desktop-dark", { isDark: true }],
  ["phone-light", { width: 390, height: 844 }],
  ["phone-dark-zh", { width: 390, height: 844, isDark: true, locale: "zh-CN" }],
  ["narrow", { width: 320, height: 568 }]
]

const inBrowser = test.skipIf(chromiumPath === undefined)
afterAll(closeBrowser)

inBrowser.each(looks)(
  "%s: nothing overflows, and an accessibility scan has no serious findings",
  async (name, look) => {
    const { address } = await startParley({ scriptOf })
    const page = await openPage(await openContext(look), address)
    const complaints = complaintsOf(page)
    expect(await findingsOf(page)).toEqual([])
    await page.getByRole("textbox").fill("Show me a small function, please")
    await page.getByRole("textbox").press("Enter")
    await answered(page, 1)
    expect(await findingsOf(page)).toEqual([])
    const { width = 1_280 } = look
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width)
    expect(await page.locator("html").getAttribute("lang")).toBe(look.locale ?? "en")
    if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`) })
    expect(complaints).toEqual([])
  }
)

inBrowser("with a token there is a page to log in, and a way out", async () => {
  const { address, output } = await startParley({ scriptOf, env: { PARLEY_TOKEN: "a-token-of-the-operator" } })
  const context = await openContext({ isDark: true })
  const page = await context.newPage()
  await page.goto(address)
  expect(page.url()).toBe(`${address}/login`)
  expect(await findingsOf(page)).toEqual([])
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, "login.png") })
  await page.locator("input[name=token]").fill("wrong")
  await page.keyboard.press("Enter")
  await page.getByRole("alert").waitFor()
  await page.locator("input[name=token]").fill("a-token-of-the-operator")
  await page.keyboard.press("Enter")
  await page.getByRole("textbox", { name: "Message" }).waitFor()
  await write(page, "Hello")
  await answered(page, 1)
  await page.getByRole("button", { name: "Log out" }).click()
  await page.locator("input[name=token]").waitFor()
  expect(output()).not.toContain("a-token-of-the-operator")
})
