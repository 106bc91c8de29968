/** The expressions of the dashboard and of the alert rules, and where they stand. */
import { read, yaml } from "./container-files.ts"

export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface Panel {
  readonly id: number
  readonly title: string
  readonly datasource: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: ReadonlyArray<{ readonly expr: string; readonly refId: string }>
}

export interface Variable {
  readonly name: string
  readonly query: string | { readonly query: string }
}

const { groups } = yaml("docker/monitoring/alerts.yaml") as {
  readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Alert> }>
}
export const alerts = groups.flatMap(({ rules }) => rules)

const dashboard = JSON.parse(read("docker/monitoring/dashboard.json"))
export const panels: ReadonlyArray<Panel> = dashboard.panels
export const variables: ReadonlyArray<Variable> = dashboard.templating.list

export const expressions: ReadonlyArray<{ readonly where: string; readonly expr: string }> = [
  ...alerts.map(({ alert, expr }) => ({ where: alert, expr })),
  ...panels.flatMap(({ targets, title }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ...variables.flatMap(({ name, query }) => {
    const expr = typeof query === "string" ? undefined : /^label_values\((.*), \w+\)$/.exec(query.query)?.[1]
    return expr === undefined ? [] : [{ where: name, expr }]
  })
]
