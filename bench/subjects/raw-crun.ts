/**
 * Plain `crun run` of the same image: the mechanism beneath the container boundary, without daemon, log, limits or network.
 * The image's files are unpacked once with the system's tar; every start uses them read-only.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allocatedBytes } from "../disk.ts";
import { readPssOfTrees } from "../memory.ts";
import type { SubjectDescription } from "../series.ts";
import { type ExecTarget, type IdleInstances, now, type StartMoments, type Subject } from "../subject.ts";
import { writeBundle } from "./oci-bundle.ts";
import { timeProcess } from "./plain-host.ts";

export class RawCrun implements Subject {
  readonly description: SubjectDescription;
  private readonly directory: string;
  private count = 0;
  /** Of containers that stand idle. */
  private readonly pids = new Set<number>();

  private constructor(directory: string, version: string) {
    this.directory = directory;
    this.description = { id: "raw-crun", engine: "crun", version, emulated: false };
  }

  /** `rootfs` is a directory with the image's files. Rejects where crun is not here or cannot run. */
  static async open(rootfs: string): Promise<RawCrun> {
    const version = /version (\S+)/.exec(execFileSync("crun", ["--version"], { encoding: "utf8" }))?.[1] ?? "unknown";
    const directory = mkdtempSync(join(tmpdir(), "bulkhead-raw-crun-"));
    const subject = new RawCrun(directory, version);
    subject.rootfs = rootfs;
    try {
      await subject.start(["/bin/true"]);
    } catch (thrown) {
      await subject.close();
      throw thrown;
    }
    return subject;
  }

  private rootfs = "";

  start(command: readonly string[]): Promise<StartMoments> {
    this.configure(command);
    return timeProcess("crun", [...this.global(), "run", "--bundle", join(this.directory, "bundle"), this.nextId()]);
  }

  async openExec(): Promise<ExecTarget> {
    const { ids, stop } = await this.idle(1);
    const [id] = ids as [string];
    return {
      run: async () => {
        const began = now();
        await timeProcess("crun", [...this.global(), "exec", id, "/bin/true"]);
        return now() - began;
      },
      close: stop,
    };
  }

  idle(count: number): Promise<IdleInstances> {
    const raised = Array.from({ length: count }, () => this.raise());
    const stop = (): Promise<void> => {
      for (const { id, pid, bundle } of raised) {
        execFileSync("crun", [...this.global(), "delete", "--force", id], { stdio: "ignore" });
        this.pids.delete(pid);
        rmSync(bundle, { recursive: true, force: true });
      }
      return Promise.resolve();
    };
    return Promise.resolve({ ids: raised.map(({ id }) => id), stop });
  }

  /** crun itself is gone once a container runs: its processes are all that is left. */
  pss(): ReadonlyMap<number, number> {
    return readPssOfTrees(({ pid }) => this.pids.has(pid));
  }

  diskBytes(): number {
    return allocatedBytes(this.directory);
  }

  command(_metric: string, command: readonly string[]): string {
    return `crun --cgroup-manager=disabled run --bundle BUNDLE ID   # process.args = ${JSON.stringify(command)}`;
  }

  close(): Promise<void> {
    rmSync(this.directory, { recursive: true, force: true });
    return Promise.resolve();
  }

  private global(): string[] {
    return ["--cgroup-manager=disabled", "--root", join(this.directory, "state")];
  }

  private nextId(): string {
    this.count += 1;
    return `raw-${process.pid}-${this.count}`;
  }

  private configure(command: readonly string[]): void {
    writeBundle(join(this.directory, "bundle"), this.rootfs, command);
  }

  /** A container that does nothing, in a bundle of its own. */
  private raise(): { readonly id: string; readonly pid: number; readonly bundle: string } {
    const id = this.nextId();
    const bundle = join(this.directory, id);
    writeBundle(bundle, this.rootfs, ["sleep", "100000"]);
    const file = join(this.directory, `${id}.pid`);
    execFileSync("crun", [...this.global(), "run", "--detach", "--pid-file", file, "--bundle", bundle, id], { stdio: "ignore" });
    const pid = Number(readFileSync(file, "utf8"));
    rmSync(file);
    this.pids.add(pid);
    return { id, pid, bundle };
  }
}
