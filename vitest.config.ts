import { defineConfig } from "vitest/config"
import { closingLine } from "./test/closing-line.ts"

const files = ["test.ts", "property.ts"].flatMap((ending) => [`**/*.${ending}`])

export default defineConfig({
  test: {
    reporters: ["default", closingLine],
    // Starts a PostgreSQL only when a test asks for one.
    globalSetup: ["test/integration/global-setup.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: ["test/unit", "test/property", "test/simulation"].flatMap((folder) =>
            files.map((file) => `${folder}/${file}`)
          ),
          testTimeout: 60_000
        }
      },
      {
        extends: true,
        test: {
          name: "real",
          include: ["test/integration", "test/e2e"].flatMap((folder) => files.map((file) => `${folder}/${file}`)),
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Each file starts processes of its own; two of them would measure each other.
          fileParallelism: false
        }
      }
    ]
  }
})
