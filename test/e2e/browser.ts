/** A real Chromium: the one that is there, or the distribution's, installed where that may be done. */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"
import { onTestFinished } from "vitest"

const places = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
]
const found = () => places.find((path) => path !== undefined && existsSync(path))

/** Where it is; undefined, and said so, where it neither is nor may be installed. */
export const chromiumPath: string | undefined = found() ?? (mayInstall() ? install() : missing())

function mayInstall(): boolean {
  return process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")
}

function install(): string | undefined {
  process.stderr.write("Installing Debian's chromium for the tests in a browser (once, about a minute).\n")
  try {
    const options = { stdio: "ignore" as const, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } }
    execFileSync("apt-get", ["update", "-qq"], options)
    execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-noto-cjk"], options)
  } catch {
    return missing()
  }
  return found() ?? missing()
}

function missing(): undefined {
  process.stderr.write("SKIPPED: the tests in a browser need Chromium. Install it, or set CHROMIUM to its path.\n")
  return undefined
}

let browser: Promise<Browser> | undefined

export interface Look {
  readonly width?: number
  readonly height?: number
  readonly isDark?: boolean
  readonly locale?: string
}

/** A person's browser, with nothing in it. What the page's security policy refuses, or throws, fails the test. */
export async function openContext({ height = 800, isDark = false, locale = "en", width = 1_280 }: Look = {}) {
  browser ??= chromium.launch({ executablePath: chromiumPath!, args: ["--no-sandbox", "--disable-gpu"] })
  const context = await (await browser).newContext({
    viewport: { width, height },
    colorScheme: isDark ? "dark" : "light",
    locale
  })
  onTestFinished(() => context.close())
  return context
}

/** Complaints of the page: errors, and what its policy refused. */
export function complaintsOf(page: Page): ReadonlyArray<string> {
  const complaints: Array<string> = []
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("console", (message) => {
    // A socket that cannot be opened is said so by the browser, and is what some tests are about.
    const isLoss = /WebSocket|ERR_|Failed to load resource/.test(message.text())
    if (message.type() === "error" && !isLoss) complaints.push(message.text())
  })
  return complaints
}

export async function openPage(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(address)
  await page.getByRole("textbox").waitFor()
  return page
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close()
  browser = undefined
}
