import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { Failure } from "../../../sdk/src/index.ts";
import { builtPath } from "../built-path.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] [IMAGE] [-- COMMAND]",
  description:
    "Run one workload behind every boundary of this host, interleaved, and show what each costs. `bulkhead compare --help` lists the options of the measuring program itself.",
  options: [],
  examples: [
    { command: "bulkhead compare --quick busybox", says: "a first impression" },
    { command: "bulkhead compare --json - busybox", says: "every sample, for a script" },
  ],
  least: 0,
  stopsAtArgument: true,
  completes: "images",
  run: async ({ args }) => {
    const program = builtPath("bench.js");
    if (!existsSync(program)) throw new Failure("UNAVAILABLE", "the measuring program is not built", { remedy: "run `npm run build`" });
    const child = spawn(process.execPath, ["--", program, ...args], { stdio: "inherit" });
    // Ctrl-C reaches the child by itself: it keeps what it has measured, and this program waits for it.
    const ignore = (): void => undefined;
    process.on("SIGINT", ignore);
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (exit, ended) => resolve([exit, ended]));
    });
    return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
  },
};
