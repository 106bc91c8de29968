/** The last line of a test run, in the form that every tool can count: `N passed, N failed, N skipped`. */
import type { Reporter, TestModule } from "vitest/node"

export const closingLine: Reporter = {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors) {
    const counts = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      let tests = 0
      for (const test of module.children.allTests()) {
        tests++
        const { state } = test.result()
        if (state === "pending") counts.failed++
        else counts[state]++
      }
      // A file that does not load fails without a test.
      if (tests === 0 || (!module.ok() && module.errors().length > 0)) counts.failed += module.ok() ? 0 : 1
    }
    process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
  }
}
