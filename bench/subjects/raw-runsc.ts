/**
 * Plain `runsc run` of the same image on the same platform: the mechanism beneath the gvisor boundary, without daemon, log, limits or
 * network. The image's files are unpacked once with the system's tar; every start uses them read-only.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allocatedBytes } from "../disk.ts";
import { readPssOfTrees } from "../memory.ts";
import type { SubjectDescription } from "../series.ts";
import { type ExecTarget, type IdleInstances, now, type StartMoments, type Subject } from "../subject.ts";
import { shellWords } from "../shell-words.ts";
import { writeBundle } from "./oci-bundle.ts";
import { timeProcess } from "./plain-host.ts";

export interface RawRunscOptions {
  /** A directory with the image's files. */
  readonly rootfs: string;
  readonly version: string;
  /** As the boundary chose it: `ptrace`. */
  readonly platform: string;
}

/** The trait that names how gVisor gets hold of system calls. */
export function platformOf(traits: readonly string[]): string {
  return traits.find((trait) => trait.startsWith("platform-"))?.slice("platform-".length) ?? "ptrace";
}

export class RawRunsc implements Subject {
  readonly description: SubjectDescription;
  private readonly directory: string;
  private readonly options: RawRunscOptions;
  private count = 0;

  private constructor(directory: string, options: RawRunscOptions) {
    this.directory = directory;
    this.options = options;
    this.description = { id: "raw-runsc", engine: "runsc", version: options.version, emulated: false };
  }

  /** Rejects where runsc cannot run. */
  static async open(options: RawRunscOptions): Promise<RawRunsc> {
    const subject = new RawRunsc(mkdtempSync(join(tmpdir(), "bulkhead-raw-runsc-")), options);
    try {
      await subject.start(["/bin/true"]);
    } catch (thrown) {
      await subject.close();
      throw thrown;
    }
    return subject;
  }

  start(command: readonly string[]): Promise<StartMoments> {
    return timeProcess("runsc", [...this.global(), "run", "--bundle", this.bundle(command), this.nextId()]);
  }

  async openExec(): Promise<ExecTarget> {
    const { ids, stop } = await this.idle(1);
    const [id] = ids as [string];
    return {
      run: async () => {
        const began = now();
        await timeProcess("runsc", [...this.global(), "exec", id, "/bin/true"]);
        return now() - began;
      },
      close: stop,
    };
  }

  idle(count: number): Promise<IdleInstances> {
    const ids = Array.from({ length: count }, () => {
      const id = this.nextId();
      execFileSync("runsc", [...this.global(), "run", "--detach", "--bundle", this.bundle(["sleep", "100000"], id), id], { stdio: "ignore" });
      return id;
    });
    const stop = (): Promise<void> => {
      for (const id of ids) {
        execFileSync("runsc", [...this.global(), "delete", "--force", id], { stdio: "ignore" });
        rmSync(join(this.directory, id), { recursive: true, force: true });
      }
      return Promise.resolve();
    };
    return Promise.resolve({ ids, stop });
  }

  /** Each sandbox and its file server carry our state's directory on their command lines; what they trace are their children. */
  pss(): ReadonlyMap<number, number> {
    return readPssOfTrees(({ words }) => words().some((word) => word.startsWith("--root=") && word.includes(this.directory)));
  }

  diskBytes(): number {
    return allocatedBytes(this.directory);
  }

  command(_metric: string, command: readonly string[]): string {
    return `runsc ${shellWords(this.global().slice(1))} run --bundle BUNDLE ID   # process.args = ${JSON.stringify(command)}`;
  }

  close(): Promise<void> {
    rmSync(this.directory, { recursive: true, force: true });
    return Promise.resolve();
  }

  private bundle(command: readonly string[], name = "bundle"): string {
    const directory = join(this.directory, name);
    writeBundle(directory, this.options.rootfs, command);
    return directory;
  }

  private global(): string[] {
    return [`--root=${join(this.directory, "state")}`, `--platform=${this.options.platform}`, "--ignore-cgroups", "--network=none"];
  }

  private nextId(): string {
    this.count += 1;
    return `raw-${process.pid}-${this.count}`;
  }
}
