/** Whatever a model writes, the page shows it and does nothing else. */
import fc from "fast-check"
import type { ComponentChildren, VNode } from "preact"
import { expect, test } from "vitest"
import { imageAddress, linkAddress } from "../../web/src/address.ts"
import { type MarkdownParts, renderMarkdown } from "../../web/src/markdown.ts"
import { isSimple } from "../../web/src/markdown-limits.ts"
import { pieceLength, piecesOf } from "../../web/src/plain-text.ts"

const parts: MarkdownParts = { CodeBlock: () => null, RemoteImage: () => null, TaskBox: () => null }
const show = (text: string, lengthMax = 100_000) => renderMarkdown(text, parts, lengthMax)

type AnyNode = VNode<Readonly<Record<string, unknown>>>
const isNode = (value: unknown): value is AnyNode => typeof value === "object" && value !== null && "type" in value

function nodesOf(children: ComponentChildren): ReadonlyArray<AnyNode> {
  if (Array.isArray(children)) return children.flatMap(nodesOf)
  return isNode(children) ? [children, ...nodesOf(children.props["children"] as ComponentChildren)] : []
}

/** Read as a person does; the parts that are the page's say what they are given. */
function textOf(children: ComponentChildren): string {
  if (Array.isArray(children)) return children.map(textOf).join("")
  if (typeof children === "string" || typeof children === "number") return String(children)
  if (!isNode(children)) return ""
  return String(
    children.props["code"] ?? children.props["alt"] ?? textOf(children.props["children"] as ComponentChildren)
  )
}

const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  ...Object.fromEntries(
    "p em strong del blockquote br hr code ul table thead tbody tr sup h3 h4 h5 h6".split(" ").map((tag) => [tag, []])
  ),
  ...Object.fromEntries("div li th td".split(" ").map((tag) => [tag, ["class", "tabIndex"]])),
  ol: ["start"],
  a: ["href", "title", "target", "rel"]
}
const classes = /^(prose|plain|table|task|footnote|align-(none|left|right|center))$/

/** What is wrong in a tree, in words. */
function dangersOf(tree: ComponentChildren): ReadonlyArray<string> {
  return nodesOf(tree).flatMap(({ type, props }) => {
    if (typeof type !== "string") {
      const isOurs = Object.values(parts).includes(type as never)
      const src = props["src"]
      const isSafe = src === undefined || /^https?:\/\//.test(String(src))
      return isOurs && isSafe ? [] : [`component ${String(type)} ${String(src)}`]
    }
    if (!Object.hasOwn(allowed, type)) return [`<${type}>`]
    const attributes = Object.entries(props).filter(([name]) => name !== "children")
    return attributes.flatMap(([name, value]) => {
      if (!allowed[type]!.includes(name)) return [`<${type} ${name}>`]
      if (name === "href" && !/^(https?:\/\/|mailto:)/.test(String(value))) return [`<a href=${String(value)}>`]
      if (name === "class" && !classes.test(String(value))) return [`class ${String(value)}`]
      if (name === "start" || name === "tabIndex") return Number.isInteger(value) ? [] : [`${name} ${String(value)}`]
      return []
    })
  })
}

const hostile = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "a <iframe src='https://a.b'></iframe> b",
  "<svg/onload=alert(1)>",
  "<a href='javascript:alert(1)' onclick='x()'>x</a>",
  "[a](javascript:alert(1))",
  "[a](JaVaScRiPt:alert(1))",
  "[a](java&#10;script:alert(1))",
  "[a](&#x6A;avascript:alert(1))",
  "[a](\u0001javascript:alert(1))",
  "[a](<java\tscript:alert(1)>)",
  "[a](data:text/html,<script>alert(1)</script>)",
  "[a](vbscript:x)",
  "[a](file:///etc/passwd)",
  "[a](blob:https://a.b/c)",
  "[a](/logout)",
  "[a](//evil.example)",
  "[a][b]\n\n[b]: javascript:alert(1)",
  "![a](data:image/svg+xml;base64,AAAA)",
  "![a](javascript:alert(1))",
  "![a][b]\n\n[b]: data:text/html,x",
  "<javascript:alert(1)>",
  '[a](https://a.b "onmouseover=alert(1)")',
  '```"onload=x\n</code><script>\n```',
  "|<script>|\n|-|\n|<img onerror=x>|",
  "[^a]\n\n[^a]: <script>x</script>"
]

test.each(hostile)("%j does nothing", (text) => {
  expect(dangersOf(show(text))).toEqual([])
})

test.each(hostile.filter((text) => text.startsWith("<") && !text.startsWith("<java")))(
  "%j is shown as it is",
  (text) => {
    expect(textOf(show(text))).toBe(text)
  }
)

const piece = fc.oneof(
  fc.constantFrom(
    ...hostile,
    "**",
    "_",
    "`",
    "```\n",
    "\n\n",
    "> ",
    "- ",
    "1. ",
    "# ",
    "|a|\n|-|\n|b|\n",
    "~~",
    "[",
    "](",
    ")"
  ),
  fc.constantFrom(
    "- [x] a\n",
    "[^1]",
    "[^1]: b\n",
    "![",
    "<",
    ">",
    "&lt;",
    "&colon;",
    "\\",
    "\t",
    "www.a.bc",
    "a@b.cd"
  ),
  fc.constantFrom(
    "javascript:",
    "JAVASCRIPT&colon;",
    "data:",
    " onclick=",
    'style="x"',
    "https://a.b/",
    "\u0000",
    "\uD800"
  ),
  fc.string({ maxLength: 12 })
)
const markdown = fc.array(piece, { maxLength: 40, size: "max" }).map((pieces) => pieces.join(""))

test("M1: Only the elements and attributes below appear, whatever is written; what was HTML is text.", () => {
  fc.assert(
    fc.property(markdown, (text) => {
      expect(dangersOf(show(text))).toEqual([])
    }),
    { numRuns: 2_000 }
  )
})

test("M2: A link goes to http, https or mailto; nothing is loaded before the person asks for it.", () => {
  const address = fc.oneof(fc.webUrl(), fc.string(), markdown)
  fc.assert(
    fc.property(address, (url) => {
      const tree = show(`[a](${url}) ![b](${url}) <${url}> ${url}`)
      expect(dangersOf(tree)).toEqual([])
      expect(nodesOf(tree).filter(({ type }) => type === "img")).toEqual([])
    })
  )
  expect(linkAddress("HTTPS://A.b/c d")).toBe("https://a.b/c%20d")
  expect(linkAddress("mailto:a@b.c")).toBe("mailto:a@b.c")
  expect(imageAddress("http://a.b:81/c.png")).toEqual({ src: "http://a.b:81/c.png", host: "a.b:81" })
  expect([linkAddress("/a"), linkAddress("a"), imageAddress("mailto:a@b.c"), linkAddress(undefined)]).toEqual(
    Array(4).fill(undefined)
  )
})

test("M3: Whatever is written is shown: what cannot be rendered is shown as it is.", () => {
  const word = fc.stringMatching(/^[a-z]{1,8}$/)
  const mark = fc.constantFrom("*", "**", "_", "~~", "`", "[", "](", "> ", "- ", "# ", "|", "\n", " ", "<b>", "  \n")
  const text = fc.array(fc.oneof(word, mark), { maxLength: 60, size: "max" })
  fc.assert(
    fc.property(text, (pieces) => {
      const shown = textOf(show(`x ${pieces.join(" ")}`))
      // A word after a fence of code names its language.
      const words = pieces.filter((one) => /^[a-z]+$/.test(one))
      for (const one of words) expect(shown).toContain(one)
    })
  )
})

test("the elements of a message are there", () => {
  const tree = show(
    "# A\n\n### B\n\na *b* **c** ~~d~~ `e` [f](https://g.h)\\\ni\n\n> q\n\n1. o\n\n- u\n- [x] t\n\n```js\nk\n```\n\n|l|\n|:-:|\n|m|\n\n---\n\n![n](https://o.p/q.png)"
  )
  const types = new Set(nodesOf(tree).map(({ type }) => type))
  for (const tag of "p em strong del code a br blockquote ol ul li table th td hr h3 h4".split(" ")) {
    expect(types).toContain(tag)
  }
  expect(types).toContain(parts.CodeBlock)
  expect(types).toContain(parts.RemoteImage)
  expect(types).toContain(parts.TaskBox)
  expect(types).not.toContain("h5")
  const link = nodesOf(tree).find(({ type }) => type === "a")?.props
  expect(link).toMatchObject({ href: "https://g.h/", target: "_blank", rel: "noopener noreferrer nofollow" })
})

/** Texts that a parser reads for seconds or minutes, or that overflow its stack. */
const heavy: ReadonlyArray<readonly [string, string]> = [
  ["quotes", ">".repeat(10_000)],
  ["quotes with spaces", "> ".repeat(10_000)],
  ["lists", "- ".repeat(10_000) + "a"],
  ["numbered lists", "1. ".repeat(5_000) + "a"],
  ["deep lists", Array.from({ length: 200 }, (_, depth) => `${"  ".repeat(depth)}- a`).join("\n")],
  ["emphasis", "**a*".repeat(20_000)],
  ["strikes", "~a".repeat(40_000)],
  ["brackets", "[a]".repeat(30_000)],
  ["nested emphasis", "*a ".repeat(900) + "*".repeat(900)],
  ["nested brackets", "[".repeat(900) + "a" + "](b)".repeat(900)],
  ["one word", "a".repeat(1_000_000)],
  ["a megabyte", "some **bold** words\n".repeat(50_000)]
]

// What takes a moment here would take hours if it grew with the square of the text.
test.each(heavy)("%s: shown before anybody has left", { timeout: 60_000 }, (_, text) => {
  expect(textOf(show(text)).length).toBeGreaterThan(0)
})

test("people's texts are simple", () => {
  const article =
    "A *word* with **weight**, `code`, [a link](https://a.b).\n\n- an item\n  - another\n\n> > quoted twice\n\n"
  expect(isSimple(article.repeat(1_000))).toBe(true)
  expect(isSimple("* * * * * *\n--------\n" + "-".repeat(500))).toBe(true)
})

test("pieces of a plain text are all of it, none is long, and lines are kept where they can be", () => {
  const line = fc.tuple(fc.integer({ min: 0, max: 3 * pieceLength }), fc.constantFrom("x", "x ", "😀", "x😀"))
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const text = lines.map(([length, unit]) => unit.repeat(length / unit.length)).join("\n")
      const pieces = piecesOf(text)
      expect(pieces.join("").replaceAll("\n", "")).toBe(text.replaceAll("\n", ""))
      expect(pieces.every((piece) => piece.length <= pieceLength && piece.isWellFormed())).toBe(true)
      const isShort = lines.every(([length]) => length < pieceLength)
      if (isShort) expect(pieces.join("\n")).toBe(text)
    })
  )
})
