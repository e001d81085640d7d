/** The processes of one daemon among those of all daemons of this host: by what their command lines say. */

import { readdirSync, readFileSync } from "node:fs";

/** Names as the kernel cuts them. */
const LAUNCHERS = new Set(["bulkhead-launch", "bulkhead-zygote"]);

/** The daemon that listens on this socket, and its launcher with the process that supervisors are forked from. Throws where none is found. */
export function findDaemon(socket: string): number[] {
  const processes = listProcesses();
  const daemons = processes.filter(
    ({ words }) => words.some((word) => word.endsWith("/daemon.js")) && (optionOf(words, "--socket") ?? "/run/bulkhead/bulkhead.sock") === socket,
  );
  const roots = new Set(daemons.map(({ words }) => optionOf(words, "--root") ?? "/var/lib/bulkhead"));
  const launchers = processes.filter(({ name, words }) => LAUNCHERS.has(name) && roots.has(optionOf(words, "--root") ?? ""));
  if (daemons.length === 0) throw new Error(`no daemon was found for ${socket}`);
  return [...daemons, ...launchers].map(({ pid }) => pid);
}

/** The supervisors below this root directory. */
export function findSupervisors(root: string): number[] {
  return listProcesses()
    .filter(({ name, words }) => name.startsWith("bulkhead-super") && optionOf(words, "--root") === root)
    .map(({ pid }) => pid);
}

interface Process {
  readonly pid: number;
  readonly name: string;
  readonly words: readonly string[];
}

function listProcesses(): Process[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
        return [{ pid: Number(entry), name: readFileSync(`/proc/${entry}/comm`, "utf8").trim(), words }];
      } catch {
        return []; // gone in between
      }
    });
}

/** The word behind a flag of a command line. */
export function optionOf(words: readonly string[], flag: string): string | undefined {
  const at = words.indexOf(flag);
  return at === -1 ? undefined : words[at + 1];
}
