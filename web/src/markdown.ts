/**
 * Markdown of a model, which may say anything, as vnodes that can do nothing.
 *
 *   M1. Only the elements and attributes below appear, whatever is written; what was HTML is text.
 *   M2. A link goes to http, https or mailto; nothing is loaded before the person asks for it.
 *   M3. Whatever is written is shown: what cannot be rendered is shown as it is.
 */
import type { Definition, Nodes, RootContent, Table } from "mdast"
import { fromMarkdown } from "mdast-util-from-markdown"
import { gfmFromMarkdown } from "mdast-util-gfm"
import { gfm } from "micromark-extension-gfm"
import { type ComponentChildren, type ComponentType, h, type JSX } from "preact"
import { imageAddress, linkAddress } from "./address.ts"
import { isSimple } from "./markdown-limits.ts"
import { plainText } from "./plain-text.ts"

/** What needs words or a memory of its own, and is the page's. */
export interface MarkdownParts {
  readonly CodeBlock: ComponentType<{ readonly code: string; readonly language: string | undefined }>
  readonly RemoteImage: ComponentType<{ readonly src: string; readonly host: string; readonly alt: string }>
  readonly TaskBox: ComponentType<{ readonly isDone: boolean }>
}

interface Context {
  readonly parts: MarkdownParts
  readonly definitions: ReadonlyMap<string, Definition>
  /** Of the heading before. */
  level: number
}

/** Deeper than people nest, and far from what overflows a stack. */
const depthMax = 60
/** Levels of headings that the page has itself. */
const pageLevels = 2

export function renderMarkdown(text: string, parts: MarkdownParts, lengthMax: number): JSX.Element {
  if (text.length > lengthMax || !isSimple(text)) return plainText(text)
  try {
    const root = fromMarkdown(text, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] })
    const definitions = new Map<string, Definition>()
    collect(root, definitions, 0)
    const context = { parts, definitions, level: pageLevels }
    return h("div", { class: "prose" }, render(root, context, 0))
  } catch {
    return plainText(text)
  }
}

/** The first definition of a name counts, as CommonMark says. */
function collect(node: Nodes, definitions: Map<string, Definition>, depth: number): void {
  if (depth > depthMax) throw new RangeError("nested too deep")
  if (node.type === "definition" && !definitions.has(node.identifier)) definitions.set(node.identifier, node)
  if ("children" in node) for (const child of node.children) collect(child, definitions, depth + 1)
}

function render(node: Nodes, context: Context, depth: number): ComponentChildren {
  if (depth > depthMax) throw new RangeError("nested too deep")
  const inside = () =>
    "children" in node ? node.children.map((child: RootContent) => render(child, context, depth + 1)) : []
  switch (node.type) {
    case "root":
      return inside()
    case "text":
    case "html":
      return node.value
    case "paragraph":
      return h("p", null, inside())
    case "heading":
      // A reader who goes from heading to heading misses none: none is more than one deeper than the one before.
      context.level = Math.min(6, context.level + 1, node.depth + pageLevels)
      return h(`h${context.level}`, null, inside())
    case "emphasis":
      return h("em", null, inside())
    case "strong":
      return h("strong", null, inside())
    case "delete":
      return h("del", null, inside())
    case "blockquote":
      return h("blockquote", null, inside())
    case "break":
      return h("br", null)
    case "thematicBreak":
      return h("hr", null)
    case "inlineCode":
      return h("code", null, node.value)
    case "code":
      return h(context.parts.CodeBlock, { code: node.value, language: node.lang ?? undefined })
    case "list":
      return node.ordered ? h("ol", { start: node.start ?? 1 }, inside()) : h("ul", null, inside())
    case "listItem":
      return typeof node.checked === "boolean"
        ? h("li", { class: "task" }, [h(context.parts.TaskBox, { isDone: node.checked }), ...inside()])
        : h("li", null, inside())
    case "table":
      return table(node, context, depth)
    case "footnoteDefinition":
      return h("div", { class: "footnote" }, [`[${node.label ?? node.identifier}] `, ...inside()])
    case "footnoteReference":
      return h("sup", null, `[${node.label ?? node.identifier}]`)
    case "definition":
    case "yaml":
      return null
    default:
      return reference(node, context, inside)
  }
}

type Reference = Extract<
  Nodes,
  { type: "link" | "image" | "linkReference" | "imageReference" | "tableRow" | "tableCell" }
>

function reference(node: Reference, context: Context, inside: () => Array<ComponentChildren>): ComponentChildren {
  switch (node.type) {
    case "link":
      return link(node.url, inside())
    case "linkReference":
      return link(context.definitions.get(node.identifier)?.url, inside())
    case "image":
      return image(node.url, node.alt, context.parts)
    case "imageReference":
      return image(context.definitions.get(node.identifier)?.url, node.alt, context.parts)
    default:
      return inside()
  }
}

function link(url: string | undefined, children: Array<ComponentChildren>): ComponentChildren {
  const href = linkAddress(url)
  if (href === undefined) return children
  // The address is shown on hovering: the words of a link may say another one.
  return h("a", { href, title: href, target: "_blank", rel: "noopener noreferrer nofollow" }, children)
}

function image(url: string | undefined, alt: string | null | undefined, parts: MarkdownParts): ComponentChildren {
  const address = imageAddress(url)
  return address === undefined ? (alt ?? "") : h(parts.RemoteImage, { ...address, alt: alt ?? "" })
}

function table(node: Table, context: Context, depth: number): JSX.Element {
  const [head, ...body] = node.children.map((row) =>
    row.children.map((cell, column) => ({
      align: node.align?.[column] ?? "none",
      children: cell.children.map((child) => render(child, context, depth + 3))
    }))
  )
  const row = (tag: "th" | "td", cells: NonNullable<typeof head>) =>
    h(
      "tr",
      null,
      cells.map(({ align, children }) => h(tag, { class: `align-${align}` }, children))
    )
  const rows = body.map((cells) => row("td", cells))
  return h(
    "div",
    { class: "table", tabIndex: 0 },
    h("table", null, [h("thead", null, row("th", head ?? [])), h("tbody", null, rows)])
  )
}
