/**
 * The roots that a test file has open. After each test whatever stands on the host under one of them belongs to a workload that is still there
 * (`after-each.ts`); after the last nothing does.
 */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

export interface OpenRoot {
  /** What stands on the host and belongs to no workload that is there, each in words. */
  findStrays(): Promise<readonly string[]>;
}

const roots = new Set<OpenRoot>();

/** Has the root looked at after each test, until what is returned is called. */
export function watchRoot(root: OpenRoot): () => void {
  roots.add(root);
  return () => void roots.delete(root);
}

export function openRoots(): readonly OpenRoot[] {
  return [...roots];
}

/** What carries the identity of a root that was closed, or runs out of its directory: processes, interfaces, tables, control groups, mounts. */
export function findRemains(directory: string, rootId: string): string[] {
  const interfaces = readdirSync("/sys/class/net").filter((name) => name.includes(rootId));
  const tables = lines(output("nft", ["list", "tables"])).filter((line) => line.includes(`bulkhead-${rootId}`));
  const groups = lines(output("find", ["/sys/fs/cgroup", "-maxdepth", "3", "-name", `bulkhead-${rootId}`, "-type", "d"]));
  const mounts = lines(readFileSync("/proc/self/mountinfo", "utf8")).filter((line) => line.includes(`${directory}/`));
  return [...findProcesses(directory), ...interfaces, ...tables, ...groups, ...mounts];
}

function findProcesses(directory: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        const ours = /bulkhead|qemu|crun|runsc/.test(command) && `${command} `.includes(`${directory}${command.includes(`${directory}/`) ? "/" : " "}`);
        return ours ? [`process ${name}: ${command.slice(0, 120)}`] : [];
      } catch {
        return []; // gone in between
      }
    });
}

function output(program: string, words: readonly string[]): string {
  try {
    return execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch (thrown) {
    // It complains of groups that vanish while it looks; what it printed counts.
    return (thrown as { stdout?: string }).stdout ?? "";
  }
}

function lines(text: string): string[] {
  return text.split("\n").filter(Boolean);
}
