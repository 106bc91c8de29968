/** The rules of STYLE.md that a machine can check, each a function of one file. They read text, not syntax trees. */

export interface SourceFile {
  /** From the root of the repository, with slashes. */
  readonly path: string
  readonly text: string
}

/** What is wrong in a file, in words. */
export type Rule = (file: SourceFile) => ReadonlyArray<string>

/** A word that is not written, where, and which files may all the same, for what reason. */
export interface Ban {
  readonly pattern: RegExp
  readonly reason: string
  readonly where?: RegExp
  /** It counts in comments and texts as well. */
  readonly anywhere?: boolean
  readonly except?: Readonly<Record<string, string>>
}

const virtualTime = /^(src|schema|models|web|test\/unit|test\/property|test\/simulation)\//
const browser = "it is the port of the page"
const worker = "the worker is its own process and has no Effect in it"

export const bans: ReadonlyArray<Ban> = [
  { pattern: new RegExp("\\b(TO" + "DO|FIX" + "ME)\\b"), reason: "do it, or open an issue", anywhere: true },
  { pattern: /(?<![\w.])any\b(?!\s*[:?(])/, reason: "say the type, or `unknown`" },
  { pattern: /\benum\s+\w+\s*\{/, reason: "a union of literals" },
  {
    pattern: /\bexport\s+default\b/,
    reason: "export it by its name",
    except: { "web/vite.config.ts": "Vite reads this one" }
  },
  {
    pattern: /\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML)\b/,
    reason: "what a model says is never markup",
    where: /^web\//
  },
  { pattern: /(?<![\w.])console\s*\./, reason: "Effect.log*, or Effect's Console" },
  {
    pattern: /\bDate\.now\b|\bnew Date\(\)/,
    reason: "Effect's Clock",
    where: virtualTime,
    except: { "web/src/browser.ts": browser }
  },
  {
    pattern: /\bMath\.random\b/,
    reason: "Effect's Random, or random-id.ts",
    except: { "web/src/browser.ts": browser }
  },
  {
    pattern: /(?<!\.)\bset(Timeout|Interval)\b/,
    reason: "Effect.sleep, Effect.timeout, Schedule",
    where: virtualTime,
    except: { "src/inference/worker/main.ts": worker, "web/src/browser.ts": browser }
  },
  {
    pattern: /\brandom(UUID|Bytes)\b/,
    reason: "random-id.ts",
    where: /^src\//,
    except: {
      "src/domain/random-id.ts": "it is the port",
      "src/store/cluster.ts": "the password of the embedded database",
      "src/store/lock-file.ts": "a lock must differ from one that the same process left behind"
    }
  },
  { pattern: /\b(it|test|describe)(\.\w+)*\.(skip|only|to\u0064o)\b/, reason: "run it or delete it" }
]

export const bannedWords: Rule = ({ path, text }) =>
  bans.flatMap(({ anywhere, except, pattern, reason, where }) => {
    if (where?.test(path) === false || except?.[path] !== undefined) return []
    return linesOf(anywhere ? text : codeOf(text)).flatMap((line, index) => {
      const found = pattern.exec(line)?.[0]
      return found === undefined ? [] : [`${index + 1}: \`${found}\`: ${reason}`]
    })
  })

const linesMax = 300
const functionLinesMax = 70
const columnsMax = 120
/** The formatter breaks code; a sentence for a person stays in one piece, so that it can be searched for. */
const sentence = /(["'`]).{40,}\1/

export const length: Rule = ({ text }) => {
  const lines = linesOf(text)
  const long = lines.flatMap((line, index) => {
    const columns = [...line].length
    return columns > columnsMax && !sentence.test(line)
      ? [`${index + 1}: ${columns} columns, more than ${columnsMax}`]
      : []
  })
  return lines.length > linesMax ? [...long, `${lines.length} lines, more than ${linesMax}: split it by concept`] : long
}

const functionStart = /\bfunction\b|=>\s*\{?$|^\s*(?!if|for|while|switch|catch|return|else|do\b)[\w#. ]+\([^=]*\).*\{$/

/** The lines from where a function begins to where its indentation ends. */
export const functionLength: Rule = ({ text }) => {
  const lines = linesOf(codeOf(text))
  return lines.flatMap((line, start) => {
    if (!functionStart.test(line) || /\bdescribe\(/.test(line)) return []
    const indent = indentOf(line)
    const isOutside = (other: string) =>
      other.trim() !== "" && indentOf(other) <= indent && !/^[)\]}].*([{(]|=>)$/.test(other.trim())
    const after = lines.findIndex((other, index) => index > start && isOutside(other))
    const end = after < 0 ? lines.length : after + (/^\s*[)\]}]/.test(lines[after] ?? "") ? 1 : 0)
    const long = end - start
    return long > functionLinesMax ? [`${start + 1}: a function of ${long} lines, more than ${functionLinesMax}`] : []
  })
}

const vague = ["utils", "util", "helpers", "helper", "types", "common", "misc", "index"]

export const fileName: Rule = ({ path }) => {
  const folders = path.split("/")
  const [name = "", ...kinds] = (folders.pop() ?? "").split(".")
  const odd = [...folders, name].filter((part) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(part))
  return [
    ...odd.map((part) => `\`${part}\` is not kebab-case`),
    ...[...folders, name].filter((part) => vague.includes(part)).map((part) => `\`${part}\` names no concept`),
    ...(kinds.length > 2 ? [`\`${kinds.join(".")}\` is more than one kind of file`] : []),
    ...(folders[0] === "src" && folders.length > 3 ? ["lies more than two levels under src"] : [])
  ]
}

/** A lock file that names a registry only installs where that registry is. */
export const lockFile: Rule = ({ text }) =>
  linesOf(text).flatMap((line, index) =>
    /"resolved":\s*"(https?|git)/.test(line) ? [`${index + 1}: names a registry (see .npmrc)`] : []
  )

/** The text with its comments blanked, line for line. */
export function withoutComments(text: string): string {
  return text.replace(tokens, (token) => (/^\/[/*]/.test(token) ? blank(token) : token))
}

/** The text with comments, regular expressions and the contents of texts blanked; what is in `${}` stays. */
export function codeOf(text: string): string {
  return text.replace(tokens, (token) =>
    token.startsWith("`") ? token.replace(/\$\{[^}]*\}|[^\n]/g, (part) => (part.length > 1 ? part : " ")) : blank(token)
  )
}

const comment = /\/\/[^\n]*|\/\*[\s\S]*?\*\//
const quoted = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`/
const regExp = /(?<=(?:^|[=(,:[!&|?{};]|=>|\breturn)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/
const tokens = new RegExp([comment, quoted, regExp].map(({ source }) => source).join("|"), "gm")

const blank = (token: string) => token.replace(/[^\n]/g, " ")
const linesOf = (text: string) => text.replace(/\n$/, "").split("\n")
const indentOf = (line: string) => line.length - line.trimStart().length
