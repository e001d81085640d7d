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
          testTimeout: 20_000,
          expect: { poll: { timeout: 10_000 } },
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/**/*.test.ts"],
          setupFiles: ["test/harness/after-each.ts"],
          // Real engines: a machine's boot takes one core, so two files at a time fill two. Each has a daemon and a root of its own, and leak checks
          // look only at what carries that root's identity.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          // For what comes by itself, on a host however busy.
          expect: { poll: { timeout: 20_000 } },
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
