/**
 * Plain `crun run` of the same image: the mechanism beneath the container boundary, without daemon, log, limits or network.
 * The image's files are unpacked once with the system's tar; every start uses them read-only.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SubjectDescription } from "../series.ts";
import { type ExecTarget, now, type StartMoments, type Subject } from "../subject.ts";
import { writeBundle } from "./oci-bundle.ts";
import { timeProcess } from "./plain-host.ts";

export class RawCrun implements Subject {
  readonly description: SubjectDescription;
  private readonly directory: string;
  private count = 0;

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
    this.configure(["sleep", "100000"]);
    const id = this.nextId();
    execFileSync("crun", [...this.global(), "run", "--detach", "--bundle", join(this.directory, "bundle"), id], { stdio: "ignore" });
    return {
      run: async () => {
        const began = now();
        await timeProcess("crun", [...this.global(), "exec", id, "/bin/true"]);
        return now() - began;
      },
      close: () => {
        execFileSync("crun", [...this.global(), "delete", "--force", id], { stdio: "ignore" });
        return Promise.resolve();
      },
    };
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
}
