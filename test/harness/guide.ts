/** The commands of docs/guide.md, and how they are typed: in a directory of their own, with `bulkhead` on the PATH, on the daemon that is there. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKOUT, type CommandOutcome, run, type TestDaemon } from "./daemon.ts";
import { readShownCommands } from "./shown-commands.ts";

const shown = readShownCommands(readFileSync(join(CHECKOUT, "docs/guide.md"), "utf8"), ["bulkhead", "printf"]);
/** Measuring takes a minute or two each. */
const MEASURES = /^bulkhead compare /;

export const guide = { short: shown.filter((command) => !MEASURES.test(command)), long: shown.filter((command) => MEASURES.test(command)) };

/** Why a command cannot be typed here; empty where it can. */
export async function missingFor(daemon: TestDaemon): Promise<(command: string) => string> {
  const probes = await daemon.client.system.probes();
  return (command) => {
    const wanted = [...command.matchAll(/--isolation (\w+)/g)]
      .map(([, name]) => name)
      .filter((name) => name !== "auto" && !command.startsWith("bulkhead audit"));
    const lacking = wanted.find((name) => !probes.some(({ kind, usable }) => kind === name && usable));
    return lacking === undefined ? "" : `${lacking} does not run on this host`;
  };
}

export function openTypist(daemon: TestDaemon): { type: (command: string, timeoutMs: number) => Promise<CommandOutcome>; [Symbol.dispose]: () => void } {
  const directory = mkdtempSync(join(tmpdir(), "bulkhead-guide-"));
  const environment = { BULKHEAD_HOST: daemon.host, PATH: `${join(CHECKOUT, "bin")}:${process.env["PATH"] ?? ""}` };
  return {
    type: (command, timeoutMs) => run("sh", ["-c", `cd ${directory} && ${command}`], environment, { timeoutMs }),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
