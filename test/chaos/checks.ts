/** What must hold of every workload after the daemon was killed and has come back. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { WorkloadDocument } from "@bulkhead/sdk";
import type { TestDaemon } from "../harness/daemon.ts";
import { TICKS } from "./load.ts";

/** Counts for ever: it must live through every kill, and its log with it. */
export const LASTING = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done"] as const;

export interface Expected {
  readonly lasting: readonly string[];
  /** Exit codes of those that nobody stopped. */
  readonly ended: ReadonlyMap<string, number>;
}

/** Sentences, one for each promise that is broken. */
export async function checkWorkloads(daemon: TestDaemon, expected: Expected): Promise<string[]> {
  const faults: string[] = [];
  const listed = await daemon.client.workloads.list({ all: true });
  for (const id of expected.lasting) if (!listed.some(({ Id, State }) => Id === id && State === "running")) faults.push(`${id.slice(0, 12)} no longer runs`);
  for (const { Id } of listed) {
    const fault = await checkOne(daemon, Id, expected).catch((thrown: unknown) => `cannot be looked at: ${String(thrown)}`);
    if (fault !== undefined) faults.push(`${Id.slice(0, 12)} ${fault}`);
  }
  const known = new Set((await daemon.client.workloads.list({ all: true })).map(({ Id }) => Id));
  for (const id of directories(daemon))
    if (!known.has(id) && !(await isGoneSoon(daemon, id))) faults.push(`${id.slice(0, 12)} is in no list and has a directory`);
  return faults;
}

async function checkOne(daemon: TestDaemon, id: string, { lasting, ended }: Expected): Promise<string | undefined> {
  const { workloads } = daemon.client;
  const found = await workloads.inspect(id).catch(() => undefined);
  if (found === undefined) return undefined; // removed meanwhile, as it was asked for
  const { Status, ExitCode, Error: error } = found.State;
  if (Status === "running" && found.State.Pid > 0 && !existsSync(`/proc/${found.State.Pid}`)) {
    const now = await workloads.inspect(id).catch(() => undefined);
    if (now?.State.Status === "running") return "is said to run, and its process does not exist";
  }
  if (found.HostConfig.AutoRemove === true) return undefined;
  const broken = await findBrokenLine(daemon, id);
  if (broken !== undefined) return broken;
  const code = ended.get(id);
  if (!hasEnded(found) || lasting.includes(id) || code === undefined || ExitCode === 137) return undefined;
  if (ExitCode !== code) return `ended with ${ExitCode} instead of ${code} (${error ?? ""})`;
  const lines = (await readLog(daemon, id)).split("\n").length - 1;
  return lines === TICKS ? undefined : `logged ${lines} lines instead of ${TICKS}`;
}

function hasEnded({ State }: WorkloadDocument): boolean {
  return State.Status === "exited" && !State.StartedAt.startsWith("0001");
}

async function findBrokenLine(daemon: TestDaemon, id: string): Promise<string | undefined> {
  const lines = (await readLog(daemon, id)).split("\n").slice(0, -1);
  const at = lines.findIndex((line, index) => line !== `line ${index + 1}`);
  return at < 0 ? undefined : `has ${JSON.stringify(lines[at])} as line ${at + 1} of its log`;
}

async function readLog(daemon: TestDaemon, id: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of daemon.client.workloads.logs(id, { terminal: false })) parts.push(bytes);
  return Buffer.concat(parts).toString("utf8");
}

function directories(daemon: TestDaemon): string[] {
  const path = join(daemon.root, "workloads");
  return existsSync(path) ? readdirSync(path).filter((name) => /^[0-9a-f]{64}$/.test(name)) : [];
}

async function isGoneSoon(daemon: TestDaemon, id: string): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if (!directories(daemon).includes(id)) return true;
    await new Promise((settle) => void setTimeout(settle, 50));
  }
  return false;
}
