/**
 * What a person sees in a narrow and in a wide terminal, with figures masked. Written anew by
 * `npx vitest run test/integration/doctor-report.test.ts -u`.
 */
import { join } from "node:path"
import { expect, test } from "vitest"
import { writeRandomModel } from "../../models/random-model.ts"
import type { Finding } from "../../src/cli/doctor/finding.ts"
import { report } from "../../src/cli/doctor/report.ts"
import { channel, examine, secret } from "./doctor-bench.ts"
import { emptyDir, startMain } from "./main-process.ts"

const rowsKept = 3

test("the report of a machine with one trouble, at 60 and at 120 columns", async () => {
  const dir = emptyDir()
  const file = join(dir, "model.gguf")
  await writeRandomModel(file)
  const env = { PARLEY_MODEL: file, DEMO_SECRET: secret, PARLEY_TOKEN: "short" }
  const { findings } = await examine({ dir, env, yaml: channel("http://127.0.0.1:9/replies") })
  // Whether the page is built depends on who ran what before.
  const shown = findings.filter(({ id }) => !id.startsWith("page")).map((finding) => masked(finding, dir))
  for (const width of [60, 120]) {
    const printed = `${report(shown, { width, isColoured: false })}\n`
    await expect(printed).toMatchFileSnapshot(`../recorded/doctor-${width}.txt`)
  }
})

test("what is printed where nobody is at a terminal has no colours, and says the mend", async () => {
  const run = startMain({ env: { PARLEY_MODEL: "missing.gguf" }, typed: ["doctor"] })
  expect(await run.ended).toBe(1)
  expect(run.output()).toMatch(/^trouble {2}model\.missing +missing\.gguf is not there\.$/m)
  expect(run.output()).toMatch(/\nParley needs mending: 1 trouble, .*\d+ ok\.\n$/)
  expect(run.output()).not.toContain("\x1b")
})

function masked(finding: Finding, dir: string): Finding {
  const mask = (text: string) =>
    text
      .replaceAll(dir, "/srv/parley")
      .replace(/ \(a control group bounds them\)| The machine has other work .*/g, "")
      .replace(/threads? decodes? on (\S+) cores.*/, "threads decode on $1 cores.")
      .replace(/Of what fits.*|Even the smallest.*/, "What follows.")
      .replace(/(?<![\w.:])(?!127\.0\.0\.1)\d[\d.]*(?<=\d)/g, "N")
      .replace(/\b[KMGT]iB\b/g, "GiB")
  const { mend, saw, table, why } = finding
  const seen = {
    id: finding.id,
    saw: mask(saw),
    ...(why !== undefined && { why: mask(why) }),
    ...(table !== undefined && { table: table.slice(0, rowsKept).map((row) => row.map(mask)) })
  }
  return mend === undefined ? { ...seen, level: "ok" } : { ...seen, level: finding.level, mend: mask(mend) }
}
