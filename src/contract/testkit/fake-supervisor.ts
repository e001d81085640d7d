/** What stands on the fake host for one workload. It outlives every daemon, as a real supervisor does. */

import type { ProcessSpec } from "../process.ts";
import type { EndReason, ResourceUse } from "../sandbox.ts";
import type { LimitsSpec, SandboxSpec } from "../spec.ts";
import { FakeFiles } from "./fake-files.ts";
import type { FakeHost } from "./fake-host.ts";
import { FakeLog } from "./fake-log.ts";
import { FakeProcess } from "./fake-process.ts";

export class FakeSupervisor {
  readonly host: FakeHost;
  readonly spec: SandboxSpec;
  readonly files: FakeFiles;
  readonly log: FakeLog;
  readonly kernel: string;
  readonly ended: Promise<EndReason>;
  readonly main: FakeProcess;
  readonly processes = new Map<number, FakeProcess>();
  state: "held" | "running" | "paused" | "ended" = "held";
  started = false;
  limits: LimitsSpec;
  private readonly settle: (reason: EndReason) => void;
  private thawed: Promise<void> = Promise.resolve();
  private thaw = () => {};
  private forked = 0;
  private allocated = 1024 * 1024;
  private outOfMemoryKills = 0;
  private ending = false;

  constructor(host: FakeHost, plan: { readonly directory: string; readonly spec: SandboxSpec; readonly main: ProcessSpec; readonly kernel: string }) {
    const { directory, spec, main, kernel } = plan;
    this.host = host;
    this.spec = spec;
    this.limits = spec.limits;
    this.kernel = kernel;
    this.log = new FakeLog(spec.log, () => host.now());
    this.files = new FakeFiles(host.rootOf(directory), spec.mounts, spec.security.readOnlyRoot);
    const ended = Promise.withResolvers<EndReason>();
    this.ended = ended.promise;
    this.settle = ended.resolve;
    this.main = new FakeProcess(0, main, this);
    this.processes.set(0, this.main);
    void this.ended.then((reason) => host.supervisorEnded(directory, reason, this.started));
  }

  start(): void {
    this.started = true;
    this.state = "running";
    this.main.run();
  }

  exec(spec: ProcessSpec): FakeProcess {
    const process = new FakeProcess(this.processes.size, spec, this);
    this.processes.set(process.number, process);
    return process;
  }

  pause(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.thawed = promise;
    this.thaw = resolve;
    this.state = "paused";
  }

  resume(): void {
    this.state = "running";
    this.thaw();
  }

  /** Resolves at once, unless the sandbox is paused. */
  running(): Promise<void> {
    return this.thawed;
  }

  end(): void {
    this.ending = true;
    this.main.kill("SIGKILL");
  }

  /** The supervisor itself dies: the wall is gone, and nobody wrote down how. */
  lose(what: string): void {
    this.settleOnce({ kind: "boundary-lost", status: { code: 137, signal: "SIGKILL", outOfMemory: false, at: this.host.now() }, what });
    for (const process of this.processes.values()) process.kill("SIGKILL");
  }

  processEnded(process: FakeProcess): void {
    if (process !== this.main || process.status === undefined) return;
    const status = process.status;
    for (const other of this.processes.values()) other.kill("SIGKILL");
    this.settleOnce({ kind: this.ending ? "ended" : "exited", status });
  }

  fork(): boolean {
    const limit = this.limits.pids;
    if (limit !== undefined && limit > 0 && this.pids() >= limit) return false;
    this.forked++;
    return true;
  }

  async allocate(bytes: number): Promise<void> {
    this.allocated += bytes;
    const limit = this.limits.memoryBytes;
    if ((limit === undefined || this.allocated <= limit) && this.allocated < 2 ** 34) return;
    this.outOfMemoryKills++;
    this.main.kill("SIGKILL", true);
  }

  pids(): number {
    return this.forked + [...this.processes.values()].filter(({ status }) => status === undefined).length;
  }

  use(): ResourceUse {
    const cpu = this.host.tick();
    return {
      at: this.host.now(),
      cpuTotalNs: cpu,
      cpuUserNs: cpu,
      cpuSystemNs: 0,
      memoryBytes: this.allocated,
      memoryInactiveFileBytes: 0,
      memoryLimitBytes: this.limits.memoryBytes ?? 0,
      pids: this.pids(),
      pidsLimit: this.limits.pids ?? 0,
      diskReadBytes: 0,
      diskWriteBytes: 0,
      networkReceivedBytes: 0,
      networkReceivedPackets: 0,
      networkSentBytes: 0,
      networkSentPackets: 0,
      outOfMemoryKills: this.outOfMemoryKills,
    };
  }

  private settleOnce(reason: EndReason): void {
    if (this.state === "ended") return;
    this.state = "ended";
    this.thaw();
    this.settle(reason);
  }
}
