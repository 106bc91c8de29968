/** Events of which nobody could say whether they were written: whoever answers them learns of them in time. */
import { Effect } from "effect"
import { expect, test } from "vitest"
import { openTwoOwners } from "./postgres-journal.ts"

test.each([
  ["after away", ["first", "lost", "next"]],
  ["before away", ["first", "next"]]
] as const)(
  "J5: `onAccepted` is called for every event that was written, in the order of positions (cut %s)",
  (fate, written) =>
    Effect.gen(function* () {
      const { first, proxy } = yield* openTwoOwners
      const rung: Array<{ readonly key: string; readonly position: number }> = []
      const accept = (key: string) =>
        first.journal.accept(
          { channel: "test", account: "a", thread: "t", eventKey: key, user: { id: "ada" }, text: key },
          ({ position }) => rung.push({ key, position })
        )
      yield* accept("first")
      proxy.plan(fate)
      expect(yield* Effect.flip(accept("lost"))).toMatchObject({ _tag: "Unavailable", mayBeWritten: true })
      expect(rung).toHaveLength(1)
      proxy.comeBack()
      yield* accept("next")
      expect(rung.map(({ key }) => key)).toEqual(written)
      expect(rung).toEqual(rung.toSorted((a, b) => a.position - b.position))
    }).pipe(Effect.scoped, Effect.runPromise)
)

test("J6: whoever waits for `drained` knows what became of every write that was begun before", () =>
  Effect.gen(function* () {
    const { first, proxy } = yield* openTwoOwners
    const accept = (eventKey: string) =>
      first.journal.accept(
        { channel: "test", account: "a", thread: "t", eventKey, user: { id: "ada" }, text: eventKey },
        () => {}
      )
    // More than a batch, and the answer to the first one is lost.
    proxy.plan("after")
    const keys = Array.from({ length: 40 }, (_, index) => `event-${index}`)
    const fibers = yield* Effect.forEach(keys, (key) => Effect.forkChild(accept(key), { startImmediately: true }))
    yield* first.journal.drained
    expect(fibers.map((fiber) => fiber.pollUnsafe()?._tag)).toEqual(keys.map(() => "Success"))
  }).pipe(Effect.scoped, Effect.runPromise))
