import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "sdk/src/**/*.test.ts", "bench/**/*.test.ts", "scripts/**/*.test.ts"],
          // One module graph for each worker: half of the time of so many small files is loading what the last one loaded. A test that
          // replaces something outside itself puts it back.
          isolate: false,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/**/*.test.ts"],
          setupFiles: ["test/harness/after-each.ts"],
          // Real engines on two cores: files one after another, so that leak checks see only their own traces.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
