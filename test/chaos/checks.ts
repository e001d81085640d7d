/** What must hold of every workload after the daemon was killed and has come back. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure, type WorkloadDocument } from "@bulkhead/sdk";
import type { TestDaemon } from "../harness/daemon.ts";
import { type Ledger, TICKS } from "./load.ts";

/** Counts for ever: it must live through every kill, and its log with it. */
export const LASTING = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done"] as const;

export interface Expected {
  /** With the processes that they had at first: the same ones must still run. */
  readonly lasting: ReadonlyMap<string, number>;
  readonly ledger: Ledger;
  /** Whether launches that a death has cut must have been undone by now; else their workloads must be known. */
  readonly settled: boolean;
}

/** For what comes by itself and only has not come yet. */
const PATIENCE_MS = 15_000;

/** Sentences, one for each promise that is broken. */
export async function checkWorkloads(daemon: TestDaemon, expected: Expected): Promise<string[]> {
  const { lasting, ledger } = expected;
  const faults: string[] = [];
  const listed = await daemon.client.workloads.list({ all: true });
  const ids = new Set(listed.map(({ Id }) => Id));
  for (const id of [...lasting.keys(), ...ledger.created])
    if (!ids.has(id) && !ledger.removeAsked.has(id)) faults.push(`${short(id)} was created, and is gone`);
  for (const id of ledger.removed) if (ids.has(id)) faults.push(`${short(id)} was removed, and is there`);
  for (const id of ids) {
    const fault = await checkOne(daemon, id, expected).catch((thrown: unknown) => `cannot be looked at: ${String(thrown)}`);
    if (fault !== undefined) faults.push(`${short(id)} ${fault}`);
  }
  return [...faults, ...(await checkHost(daemon, { atLeast: lasting.size, settled: expected.settled }))];
}

const short = (id: string) => id.slice(0, 12);

async function checkOne(daemon: TestDaemon, id: string, { lasting, ledger }: Expected): Promise<string | undefined> {
  const found = await inspect(daemon, id);
  if (found === undefined) return ledger.created.has(id) && !ledger.removeAsked.has(id) ? "vanished while it was looked at" : undefined;
  const { Status, Pid, ExitCode, Error: error } = found.State;
  if (!["created", "running", "exited"].includes(Status)) return `is ${Status} (${error ?? ""})`;
  if (Status === "running" && !existsSync(`/proc/${Pid}`) && (await inspect(daemon, id))?.State.Status === "running")
    return "is said to run, and its process does not exist";
  const pid = lasting.get(id);
  if (pid !== undefined && (Status !== "running" || Pid !== pid)) return `no longer runs as process ${pid}: ${Status} ${Pid}`;
  if (found.HostConfig.AutoRemove === true) return (await isGoneSoon(daemon, id)) ? undefined : `was to remove itself, and is ${Status}`;
  const lines = (await readLog(daemon, id)).split("\n").slice(0, -1);
  const broken = lines.findIndex((line, index) => line !== `line ${index + 1}`);
  if (broken >= 0) return `has ${JSON.stringify(lines[broken])} as line ${broken + 1} of its log`;
  if (Status === "created") {
    if (ledger.started.has(id)) return "was started, and is said never to have been";
    return lines.length === 0 ? undefined : `is said never to have run, and has logged ${lines.length} lines`;
  }
  if (Status !== "exited") return undefined;
  const fault = checkEnd({ code: ExitCode, lines: lines.length, error }, { code: ledger.codes.get(id), stopped: ledger.stopAsked.has(id) });
  return fault === undefined ? undefined : `${fault}; behind ${found.HostConfig.Isolation}: ${tellRecord(daemon, id)}`;
}

/** What its supervisor wrote down, for whoever looks into a fault. */
function tellRecord(daemon: TestDaemon, id: string): string {
  try {
    return readFileSync(join(daemon.root, "workloads", id, "exit.json"), "utf8");
  } catch (thrown) {
    return String(thrown);
  }
}

interface End {
  readonly code: number;
  readonly lines: number;
  readonly error: string | undefined;
}

/** One that was told to stop may have been faster. One whose create was never answered has a code that nobody knows. */
function checkEnd(end: End, { code, stopped }: { readonly code: number | undefined; readonly stopped: boolean }): string | undefined {
  if (stopped && (end.code === 137 || end.code === 143)) return undefined;
  if (code !== undefined && end.code !== code) return `ended with ${end.code} instead of ${code} (${end.error ?? ""})`;
  return end.lines === TICKS ? undefined : `ended by itself with ${end.code}, and logged ${end.lines} lines instead of ${TICKS}`;
}

/** What stands on the host is what the list says: no supervisor without a workload that runs, no directory without a workload. */
async function checkHost(daemon: TestDaemon, { atLeast, settled }: { readonly atLeast: number; readonly settled: boolean }): Promise<string[]> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(30)) {
    // What ends between two looks is in neither of them.
    const before = new Set((await daemon.client.workloads.list({ all: true })).map(({ Id }) => Id));
    // The trial of a probe that is under way is no workload; what it leaves is looked for at the very end.
    const trials = new Set(names(daemon, "probe"));
    const noted = names(daemon, "run/supervisors").flatMap((name) => /^([0-9a-f]{64})\.json$/.exec(name)?.[1] ?? []);
    const standing = noted.filter((id) => !trials.has(id));
    const directories = names(daemon, "workloads").filter((name) => /^[0-9a-f]{64}$/.test(name));
    const running = new Set((await daemon.client.workloads.list()).map(({ Id }) => Id));
    const faults = [
      ...standing
        .filter((id) => !(settled ? running : before).has(id))
        .map((id) => `${short(id)} has a supervisor, and is not said to ${settled ? "run" : "exist"}`),
      ...[...running].filter((id) => !standing.includes(id)).map((id) => `${short(id)} is said to run, and has no supervisor`),
      ...directories.filter((id) => !before.has(id)).map((id) => `${short(id)} is in no list and has a directory`),
      ...(running.size < atLeast ? ["fewer run than must"] : []),
    ];
    if (faults.length === 0 || Date.now() > deadline) return faults;
  }
}

async function inspect(daemon: TestDaemon, id: string): Promise<WorkloadDocument | undefined> {
  try {
    return await daemon.client.workloads.inspect(id);
  } catch (thrown) {
    if (thrown instanceof Failure && thrown.code === "NOT_FOUND") return undefined;
    throw thrown;
  }
}

async function readLog(daemon: TestDaemon, id: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of daemon.client.workloads.logs(id, { terminal: false })) parts.push(bytes);
  return Buffer.concat(parts).toString("utf8");
}

function names(daemon: TestDaemon, folder: string): string[] {
  const path = join(daemon.root, folder);
  return existsSync(path) ? readdirSync(path) : [];
}

async function isGoneSoon(daemon: TestDaemon, id: string): Promise<boolean> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(50)) if ((await inspect(daemon, id)) === undefined) return true;
  return false;
}
