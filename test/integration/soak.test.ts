/** Two minutes of turns leave nothing behind. The long form, `npm run soak:hour`, looks at resident memory as well. */
import { expect, test } from "vitest"
import { soak } from "../../bench/soak-run.ts"

const perSecond = 15
const seconds = 120
/** Idle connections that pools may keep: to the model as many as its slots, to the callback, to the database. */
const pooledMax = 64 + 16 + 8
/** Code that was compiled meanwhile, caches that were warmed. Two kilobytes a turn that stay are more. */
const heapGrowthMaxMb = 4

test("no handles, no live memory, no rows that cannot be removed; all is answered", { timeout: 900_000 }, async () => {
  const soaked = await soak({ perSecond, warmUpSeconds: 45, seconds, turnsEach: 4 })
  const { accepted, answered, end, samples, transactionSeconds, turns, unremovable, warm } = soaked
  process.stdout.write(`${JSON.stringify({ ...soaked, samples: samples.length, turns })}\n`)
  expect([accepted, answered]).toEqual([turns, turns])
  expect(end.heapMb - warm.heapMb).toBeLessThan(heapGrowthMaxMb)
  expect(end.externalMb - warm.externalMb).toBeLessThan(heapGrowthMaxMb)
  expect(end.openFiles - warm.openFiles).toBeLessThanOrEqual(pooledMax)
  expect(end.handles - warm.handles).toBeLessThanOrEqual(pooledMax)
  // They were put to sleep all the while: each had its turns and was heard of no more.
  expect(samples.at(-1)?.liveConversations).toBeLessThan(turns / 8)
  expect(unremovable).toBe(0)
  // Nobody keeps one open: what is dead could not be removed meanwhile.
  expect(transactionSeconds).toBeLessThan(30)
})
