/** The dashboard and the alert rules; that their metrics exist is asked of a running server (image.test.ts). */
import { Result } from "effect"
import { expect, test } from "vitest"
import { configOf } from "./container-files.ts"
import { alerts, expressions, panels, variables } from "./monitoring-files.ts"
import { askedBy } from "./promql.ts"

test("every expression is PromQL, and asks for a metric", () => {
  expect(expressions.length).toBeGreaterThan(30)
  for (const { expr, where } of expressions) {
    const { errors, metrics } = askedBy(expr)
    expect([where, errors, metrics.length > 0]).toEqual([where, [], true])
  }
})

test("what an expression asks for is read off it", () => {
  expect(askedBy('sum(rate(a_total{x="b(c)"}[5m])) > on (y) d or e')).toEqual({
    metrics: ["a_total", "d", "e"],
    grown: ["a_total"],
    errors: []
  })
  expect(askedBy('{__name__=~"a|b"}').metrics).toEqual(["a", "b"])
  expect(askedBy("sum(rate(a_total[5m])").errors).toHaveLength(1)
})

test("every alert says how bad it is, what happened and what mends it", () => {
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length)
  for (const { alert, annotations, labels } of alerts) {
    expect([alert, labels["severity"]]).toEqual([alert, expect.stringMatching(/^(critical|warning)$/)])
    expect(annotations["summary"]).toContain("{{ $labels.instance }}")
    expect(annotations["mend"]).toMatch(/\S/)
  }
})

test("the inbox is half full where the alert says so", () => {
  const { limits } = Result.getOrThrow(configOf("", {}))
  expect(alerts.find(({ alert }) => alert === "ParleyInboxFills")?.expr).toMatch(
    new RegExp(`> ${limits.inboxMax / 2}$`)
  )
})

test("panels have a place of their own, and ask what the dashboard's variables name", () => {
  const names = new Set(variables.map(({ name }) => name))
  const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
    Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`)
  )
  expect(new Set(cells).size).toBe(cells.length)
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  for (const panel of panels) {
    expect(panel.gridPos.x + panel.gridPos.w).toBeLessThanOrEqual(24)
    expect(new Set(panel.targets.map(({ refId }) => refId)).size).toBe(panel.targets.length)
    const used = [...JSON.stringify(panel).matchAll(/\$\{?([a-z]\w*)/g)].map(([, name]) => name!)
    expect(new Set(used)).toEqual(names)
  }
})
