/** docker/kubernetes and docker/systemd: they agree with the image, the server, and each other. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { expect, test } from "vitest"
import { exitCodes } from "../../src/cli/exit-codes.ts"
import { configOf, environmentOf, imageOf, read, root, stepsOf, yaml } from "./container-files.ts"

const folder = "docker/kubernetes"
const image = imageOf("cpu")
const environment: Readonly<Record<string, string>> = { ...environmentOf(image), PARLEY_TOKEN: "t".repeat(32) }
const volumes: ReadonlyArray<string> = JSON.parse(stepsOf(image, "VOLUME")[0]!.values.join(" "))
const uid = Number(stepsOf(image, "USER")[0]?.values[0]?.split(":")[0])

const budget = yaml(`${folder}/pod-disruption-budget.yaml`)
const configMap = yaml(`${folder}/configmap.yaml`)
const service = yaml(`${folder}/service.yaml`)
const set = yaml(`${folder}/statefulset.yaml`)
const pod = set.spec.template.spec
const [container] = pod.containers

test("kustomization.yaml names every other file", () => {
  const { resources } = yaml(`${folder}/kustomization.yaml`)
  const files = readdirSync(join(root, folder)).filter((name) => name !== "kustomization.yaml")
  expect(resources.toSorted()).toEqual(files.toSorted())
})

test("one pod has the volume, and may be evicted", () => {
  expect([set.apiVersion, set.kind, set.spec.replicas]).toEqual(["apps/v1", "StatefulSet", 1])
  expect(set.spec.volumeClaimTemplates).toMatchObject([
    { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOncePod"] } }
  ])
  expect([budget.apiVersion, budget.spec.maxUnavailable]).toEqual(["policy/v1", 1])
  expect(budget.spec.minAvailable).toBe(undefined)
})

test("everything selects the pod by its labels", () => {
  const { labels } = set.spec.template.metadata
  expect(service.spec.selector).toEqual(labels)
  expect(set.spec.selector.matchLabels).toEqual(labels)
  expect(budget.spec.selector.matchLabels).toEqual(labels)
  expect(set.spec.serviceName).toBe(service.metadata.name)
})

test("the port is the server's, and probes ask for health", () => {
  expect(container.ports).toEqual([{ name: "http", containerPort: Number(environment["PORT"]) }])
  expect(service.spec.ports).toEqual([{ name: "http", port: Number(environment["PORT"]), targetPort: "http" }])
  const paths = ["startupProbe", "livenessProbe", "readinessProbe"].map((probe) => container[probe].httpGet)
  expect(paths).toEqual(["live", "live", "ready"].map((path) => ({ path: `/health/${path}`, port: "http" })))
  const patienceMs = container.startupProbe.periodSeconds * container.startupProbe.failureThreshold * 1000
  // PostgreSQL's recovery after a crash has 120 s.
  expect(patienceMs).toBeGreaterThan(120_000)
})

test("it is the image's user, has no rights, is bounded, and cannot write to its root", () => {
  expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: uid, runAsGroup: uid, fsGroup: uid })
  expect(pod.securityContext).toMatchObject({
    fsGroupChangePolicy: "OnRootMismatch",
    seccompProfile: { type: "RuntimeDefault" }
  })
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] }
  })
  expect(pod.automountServiceAccountToken).toBe(false)
  expect(container.resources.limits).toMatchObject({ memory: expect.stringMatching(/^\d+Gi$/) })
})

interface Mount {
  readonly name: string
  readonly mountPath: string
}

test("what is mounted is defined, and is all that the image wants", () => {
  const mounts: ReadonlyArray<Mount> = container.volumeMounts
  const names = [...set.spec.volumeClaimTemplates.map(nameOf), ...pod.volumes.map((volume: Mount) => volume.name)]
  expect(mounts.map(({ name }) => name).toSorted()).toEqual(names.toSorted())
  const file = environment["PARLEY_CONFIG"]!
  const wanted = [...volumes, "/tmp", file.slice(0, file.lastIndexOf("/")), "/run/secrets"]
  expect(mounts.map(({ mountPath }) => mountPath).toSorted()).toEqual(wanted.toSorted())
  expect(pod.volumes.find(({ name }: Mount) => name === "secrets").secret.defaultMode).toBe(0o440)
})

const nameOf = (claim: { readonly metadata: { readonly name: string } }) => claim.metadata.name

test("the server understands its file, and is reached by the names of its service", () => {
  const file = environment["PARLEY_CONFIG"]!.split("/").at(-1)!
  const config = Result.getOrThrow(configOf(configMap.data[file], environment))
  const { name } = service.metadata
  const names = ["", ".default", ".default.svc", ".default.svc.cluster.local"].map((ending) => name + ending)
  expect(config.allowedHosts).toEqual(names)
  expect(volumes).toContain(config.logs.dir)
  expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(config.drainMs)
  expect(container.image).toBe(`parley:${JSON.parse(read("package.json")).version}`)
})

test("the systemd unit agrees with the server", () => {
  const lines = read("docker/systemd/parley.service").split("\n")
  const unit = lines.flatMap((line) => (/^[A-Z]\w*=/.test(line) ? [line.split(/=(.*)/).slice(0, 2)] : []))
  const all = (key: string) => unit.filter(([name]) => name === key).map(([, value]) => value!)
  const one = (key: string) => all(key)[0]
  const given = Object.fromEntries(all("Environment").map((pair) => pair.split(/=(.*)/).slice(0, 2)))
  const config = Result.getOrThrow(configOf(read("docker/parley.yaml"), { ...environment, ...given }))
  expect(config).toMatchObject({ host: "127.0.0.1", dataDir: `/var/lib/${one("StateDirectory")}` })
  expect(config.logs.dir).toBe(`/var/log/${one("LogsDirectory")}`)
  expect(one("LoadCredential")).toMatch(/^PARLEY_TOKEN:\//)
  expect(one("ExecStart")).toBe("/opt/parley/docker/start.sh start")
  expect(Number(one("TimeoutStopSec")) * 1000).toBeGreaterThan(config.drainMs)
  expect(Number(one("RestartPreventExitStatus"))).toBe(exitCodes.config)
  // Ours are stopped by us, after the drain; a model that ate the memory does not take the server with it.
  expect([one("KillMode"), one("OOMPolicy")]).toEqual(["mixed", "continue"])
  expect([one("NoNewPrivileges"), one("ProtectSystem"), one("CapabilityBoundingSet")]).toEqual(["yes", "strict", ""])
})
