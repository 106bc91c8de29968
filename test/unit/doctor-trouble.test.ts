/** docs/TROUBLE.md names findings that doctor has, and has the ones that stop a server. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"

const root = join(import.meta.dirname, "../..")
const sources = globSync("src/cli/doctor{,/*}.ts", { cwd: root })
  .map((path) => readFileSync(join(root, path), "utf8"))
  .join("\n")
const page = readFileSync(join(root, "docs/TROUBLE.md"), "utf8")

/** The second column of the matrix. */
const named = page
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .flatMap((line) => [...(line.split("|")[2] ?? "").matchAll(/`([a-z._-]+)`/g)].map(([, id]) => id!))

/** Written whole, or as an area before what is put behind it. */
function isKnown(id: string): boolean {
  if (sources.includes(`"${id}"`)) return true
  const area = /^(model\.server-|[a-z]+\.)(.+)$/.exec(id)
  return area !== null && sources.includes(`\`${area[1]}\${`) && isMade(area[1]!, area[2]!)
}

/** `server.` stands before a part of health, `database.` before a setting of PostgreSQL. */
function isMade(area: string, rest: string): boolean {
  if (area === "server.") return ["database", "model", "web", "webhook"].includes(rest)
  if (area === "database.") return ["fsync", "full_page_writes", "synchronous_commit"].includes(rest)
  return sources.includes(`"${rest}"`)
}

test("every finding that the page names is one of doctor's", () => {
  expect(named.length).toBeGreaterThan(30)
  expect(named.filter((id) => !isKnown(id))).toEqual([])
  expect(isKnown("model.server-nonsense") || isKnown("port.nonsense") || isKnown("server.nonsense")).toBe(false)
})

test("every symptom that people ask about is there", () => {
  const asked = ["webhook does not arrive", "not parsed", "too late", "No answer at all", "page does not open"]
  for (const words of [...asked, "**401**", "**403**", "**421**", "**503**"]) expect(page).toContain(words)
})
