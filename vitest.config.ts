import { defineConfig } from "vitest/config"

export default defineConfig({
  test: { include: ["test/**/*.property.ts", "test/**/*.test.ts"], testTimeout: 30_000 }
})
