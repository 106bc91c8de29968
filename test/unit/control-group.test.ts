/** How many cores a control group gives, read from planted files. */
import { expect, test } from "vitest"
import { cpuQuota, wholeCores } from "../../src/inference/control-group.ts"

const files = (those: Record<string, string>) => (path: string) => those[path]

test("version 2: the tightest of a group and of those above it", () => {
  const group = (own: string, parent: string, root = "max 100000") =>
    files({
      "/proc/self/cgroup": "0::/a.slice/b.service\n",
      "/sys/fs/cgroup/a.slice/b.service/cpu.max": own,
      "/sys/fs/cgroup/a.slice/cpu.max": parent,
      "/sys/fs/cgroup/cpu.max": root
    })
  expect(cpuQuota(group("300000 100000\n", "max 100000\n"))).toBe(3)
  expect(cpuQuota(group("300000 100000\n", "150000 100000\n"))).toBe(1.5)
  expect(cpuQuota(group("max 100000", "max 100000", "50000 100000"))).toBe(0.5)
  expect(cpuQuota(group("max 100000", "max 100000"))).toBeUndefined()
})

test("version 2 in a container: the group is not seen, its root is", () => {
  const read = files({
    "/proc/self/cgroup": "0::/system.slice/docker-1.scope\n",
    "/sys/fs/cgroup/cpu.max": "200000 100000\n"
  })
  expect(cpuQuota(read)).toBe(2)
  expect(cpuQuota(files({ "/proc/self/cgroup": "0::/../other\n", "/sys/fs/cgroup/cpu.max": "200000 100000" }))).toBe(2)
})

test("version 1, and both at once", () => {
  const quota = (group: string, quota: string, more: Record<string, string> = {}) =>
    cpuQuota(
      files({
        "/proc/self/cgroup": group,
        "/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": quota,
        "/sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
        ...more
      })
    )
  for (const names of ["cpu", "cpu,cpuacct", "cpuacct,cpu"]) expect(quota(`3:${names}:/box\n`, "250000")).toBe(2.5)
  expect(quota("3:cpuset:/box\n", "250000")).toBeUndefined()
  expect(quota("3:cpu:/box\n", "-1\n")).toBeUndefined()
  expect(quota("3:cpu:/box\n0::/\n", "400000", { "/sys/fs/cgroup/cpu.max": "100000 100000" })).toBe(1)
})

test("what cannot be read is no limit", () => {
  expect(cpuQuota(files({}))).toBeUndefined()
  for (const text of ["", "max", "x y", "0 100000", "100000 0", "100000"]) {
    expect(cpuQuota(files({ "/sys/fs/cgroup/cpu.max": text }))).toBeUndefined()
  }
})

test("no more threads than whole cores, and one at least", () => {
  const cores = (quota: string, processors: number) =>
    wholeCores(files({ "/sys/fs/cgroup/cpu.max": quota }), processors)
  expect(cores("max 100000", 8)).toBe(8)
  expect(cores("350000 100000", 8)).toBe(3)
  expect(cores("50000 100000", 8)).toBe(1)
  expect(cores("900000 100000", 2)).toBe(2)
  expect(wholeCores()).toBeGreaterThanOrEqual(1)
})
