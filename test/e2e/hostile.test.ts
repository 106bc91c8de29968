/** A model that means harm, or is broken: what it says is shown as text, and does nothing. */
import { afterAll, expect, test } from "vitest"
import { chromiumPath, closeBrowser, complaintsOf, openContext, openPage } from "./browser.ts"
import { answered, said, write } from "./page.ts"
import { startParley } from "./parley.ts"

const hostile = [
  "<script>window.harmed = 1</script>",
  "<img src=x onerror='window.harmed = 2'>",
  "<svg onload='window.harmed = 3'></svg><iframe srcdoc='<script>parent.harmed = 4</script>'></iframe>",
  "[click](javascript:window.harmed=5) [data](data:text/html,<script>parent.harmed=6</script>)",
  "[ok](https://example.org/path) <https://example.org/auto> [rel](//evil.example/x) [vb](vbscript:x)",
  "![tracker](https://tracker.example/pixel.png?id=1)",
  "<form action='https://evil.example'><input name=a></form><style>body{display:none}</style>",
  '<a href="#" style="position:fixed;inset:0">cover</a>',
  "```html\n<script>window.harmed = 7</script>\n```",
  "`<b>`&lt;i&gt; &#x3C;script&#x3E;"
].join("\n\n")

const answers: Readonly<Record<string, ReadonlyArray<string>>> = {
  hostile: [hostile],
  // Cut where it hurts.
  split: [..."<script>window.harmed = 8</script> **bold"],
  long: Array.from({ length: 1_024 }, () => "x".repeat(1_023).concat(" ")),
  unbroken: ["y".repeat(100_000)],
  deep: ["> ".repeat(20_000), "deep"],
  nested: ["- ".repeat(5_000), "*".repeat(5_000), "[".repeat(5_000), "`".repeat(4_999)],
  table: ["| a | b |\n|---|\n| 1 | 2 | 3 |\n\n", "| x |", "\n|-", "\n\n~~~\nnever closed"]
}
const scriptOf = (text: string) => ({ deltas: answers[text] ?? ["ok"], delayMs: 0 })
const yaml = "limits: { answerTokensMax: 100000 }\n"

const inBrowser = test.skipIf(chromiumPath === undefined)
afterAll(closeBrowser)

inBrowser("nothing it says is run, loaded or followed", async () => {
  const { address } = await startParley({ scriptOf, yaml })
  const context = await openContext()
  const asked: Array<string> = []
  context.on("request", (request) => asked.push(request.url()))
  const page = await openPage(context, address)
  const complaints = complaintsOf(page)
  for (const [index, name] of ["hostile", "split"].entries()) {
    await write(page, name)
    await answered(page, index + 1)
  }
  const answer = said(page).nth(1)
  expect(await answer.locator("script, iframe, svg[onload], form, style, img, object, embed").count()).toBe(0)
  const hrefs = await answer
    .locator("a")
    .evaluateAll((links) =>
      links.map((link) => [link.getAttribute("href"), link.getAttribute("rel"), link.getAttribute("target")])
    )
  expect(hrefs.map(([href]) => href)).toEqual(["https://example.org/path", "https://example.org/auto"])
  for (const [, rel, target] of hrefs) expect([rel?.includes("noopener"), target]).toEqual([true, "_blank"])
  expect(await answer.textContent()).toContain("<script>window.harmed = 1</script>")
  expect(await page.evaluate(() => (globalThis as { harmed?: number }).harmed)).toBe(undefined)
  expect(asked.filter((url) => !url.startsWith(address) && !url.startsWith(address.replace("http", "ws")))).toEqual([])
  await answer.getByRole("button", { name: /tracker\.example/ }).click()
  await expect.poll(() => asked.some((url) => url.startsWith("https://tracker.example/pixel.png"))).toBe(true)
  expect(complaints).toEqual([])
})

inBrowser("a megabyte, endless words and broken Markdown do not freeze or break the page", async () => {
  const { address } = await startParley({ scriptOf, yaml })
  const page = await openPage(await openContext({ width: 390, height: 844 }), address)
  const complaints = complaintsOf(page)
  for (const [index, name] of ["long", "unbroken", "deep", "nested", "table"].entries()) {
    await write(page, name)
    await answered(page, index + 1)
  }
  const shown = await said(page).nth(1).textContent()
  expect(shown?.length).toBeGreaterThanOrEqual(1_000_000)
  const widest = await page.evaluate(() => document.documentElement.scrollWidth)
  expect(widest).toBeLessThanOrEqual(390)
  expect(complaints).toEqual([])
  await write(page, "still there?")
  await answered(page, 6)
})
