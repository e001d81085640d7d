/** Workloads that tests of sudden death live with, and what can be seen of them through the API and on the host. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CreateDocument, EventDocument, HostConfig } from "@bulkhead/sdk";
import { Failure } from "@bulkhead/sdk";
import { expect } from "vitest";
import type { TestDaemon } from "../../harness/daemon.ts";
import { type HostTraces, NO_TRACES } from "../../harness/host-traces.ts";

/** Counts for ever, one numbered line after the other. */
export const COUNTING = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done"];
/** Counts, and serves a file over HTTP on port 80. */
export const COUNTING_AND_SERVING = ["sh", "-c", `mkdir -p /srv; echo served > /srv/word; httpd -h /srv; ${COUNTING[2]}`];

/** Why boundaries cannot be tested on this host, by kind. */
export async function findUnusable(daemon: TestDaemon): Promise<ReadonlyMap<string, string>> {
  const unusable = new Map<string, string>();
  for (const { kind, usable, findings } of await daemon.client.system.probes())
    if (!usable) unusable.set(kind, findings.find(({ level }) => level === "missing")?.what ?? "it cannot be used here");
  return unusable;
}

/** What stands before any workload does: the trials of the probes have gone by then. */
export async function readBaseline(daemon: TestDaemon): Promise<HostTraces> {
  expect(await daemon.settledTraces(NO_TRACES), "a fresh daemon has nothing").toEqual(NO_TRACES);
  return NO_TRACES;
}

export class Inhabitants {
  readonly daemon: TestDaemon;
  readonly isolation: string;

  constructor(daemon: TestDaemon, isolation: string) {
    this.daemon = daemon;
    this.isolation = isolation;
  }

  async create(name: string, command: readonly string[], host: HostConfig = {}, rest: Partial<CreateDocument> = {}): Promise<string> {
    const document = { Image: "busybox", Cmd: command, ...rest, HostConfig: { NetworkMode: "none", Isolation: this.isolation, ...host } };
    return (await this.daemon.client.workloads.create(document, { name })).Id;
  }

  async run(name: string, command: readonly string[], host: HostConfig = {}, rest: Partial<CreateDocument> = {}): Promise<string> {
    const id = await this.create(name, command, host, rest);
    await this.daemon.client.workloads.start(id);
    return id;
  }

  async state(name: string) {
    return (await this.daemon.client.workloads.inspect(name)).State;
  }

  async exists(name: string): Promise<boolean> {
    try {
      await this.state(name);
      return true;
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.code === "NOT_FOUND") return false;
      throw thrown;
    }
  }

  async log(name: string): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const { bytes } of this.daemon.client.workloads.logs(name, { terminal: false })) parts.push(bytes);
    return Buffer.concat(parts).toString("utf8");
  }

  /** A counting workload's lines, each there once and in order; resolves with how many. */
  async countLines(name: string): Promise<number> {
    const lines = (await this.log(name)).split("\n").slice(0, -1);
    expect(lines, "no line is lost, doubled or torn").toEqual(lines.map((_, index) => `line ${index + 1}`));
    return lines.length;
  }

  async exec(name: string, command: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
    const { execs } = this.daemon.client;
    const id = await execs.create(name, { Cmd: command, AttachStdout: true, AttachStderr: true });
    const { output } = await execs.start(id, { terminal: false });
    const parts: Uint8Array[] = [];
    for await (const { bytes } of output) parts.push(bytes);
    return { code: await execs.exitCode(id), output: Buffer.concat(parts).toString("utf8") };
  }

  /** Joins the main process's output until it has said something. */
  async hear(name: string): Promise<string> {
    const attached = await this.daemon.client.workloads.attach(name, { stdin: false, terminal: false });
    for await (const { bytes } of attached.output) {
      attached.close();
      return Buffer.from(bytes).toString("utf8");
    }
    return "";
  }

  async wait(name: string): Promise<number> {
    const { ended } = await this.daemon.client.workloads.wait(name);
    return (await ended).StatusCode;
  }

  async hostPort(name: string): Promise<number> {
    const document = await this.daemon.client.workloads.inspect(name);
    const { Ports } = document["NetworkSettings"] as { Ports: Record<string, { HostPort: string }[]> };
    return Number(Ports["80/tcp"]?.[0]?.HostPort);
  }

  /** What the workload answers on its published port. */
  async answer(port: number): Promise<string> {
    for (let tries = 0; ; tries++) {
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/word`, { signal: AbortSignal.timeout(2000), headers: { connection: "close" } });
        return (await answer.text()).trim();
      } catch (thrown) {
        if (tries === 40) throw thrown;
        await sleep(50);
      }
    }
  }

  supervisorPid(id: string): number {
    return (JSON.parse(readFileSync(join(this.daemon.root, `run/supervisors/${id}.json`), "utf8")) as { pid: number }).pid;
  }

  /** What was told of one workload so far, by the daemon that runs now. */
  async events(id: string): Promise<EventDocument[]> {
    const until = `${Math.ceil(Date.now() / 1000)}`;
    const found: EventDocument[] = [];
    for await (const event of this.daemon.client.system.events({ since: "1", until, filters: { container: [id] } })) found.push(event);
    return found;
  }

  /** Removes every workload, whatever state a test has left it in. */
  async clear(): Promise<void> {
    for (const { Id } of await this.daemon.client.workloads.list({ all: true })) await this.remove(Id);
  }

  async remove(...names: string[]): Promise<void> {
    for (const name of names) await this.daemon.client.workloads.remove(name, { force: true, volumes: true });
  }
}

/** A zombie that nobody has buried yet is dead as well. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
