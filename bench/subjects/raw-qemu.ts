/**
 * The barest QEMU of the same kernel, devices and init: the command line of a machine that the daemon has just raised, started again by
 * hand, until the agent inside says its first word. No image is mounted, no command run, nothing confined or limited.
 */

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allocatedBytes } from "../disk.ts";
import { readPssOfTrees } from "../memory.ts";
import type { SubjectDescription } from "../series.ts";
import { type IdleInstances, now, type StartMoments, type Subject } from "../subject.ts";
import { shellWords } from "../shell-words.ts";

const BOOT_DEADLINE_MS = 60_000;
const SOCKET = "agent.sock";
const SCRATCH = "scratch";

export class RawQemu implements Subject {
  readonly description: SubjectDescription;
  private readonly directory: string;
  private readonly words: readonly string[];
  /** Of machines that run. */
  private readonly pids = new Set<number>();

  private constructor(directory: string, words: readonly string[], version: string, emulated: boolean) {
    this.directory = directory;
    this.words = words;
    this.description = { id: "raw-qemu", engine: "qemu", version, emulated };
  }

  /** `pid` is a running machine's monitor, as inspect shows it. Rejects where it is not QEMU with our agent. */
  static open(pid: number, identity: { readonly version: string; readonly emulated: boolean }): RawQemu {
    const original = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    const directory = mkdtempSync(join(tmpdir(), "bulkhead-raw-qemu-"));
    try {
      return new RawQemu(directory, bareArguments(original, directory), identity.version, identity.emulated);
    } catch (thrown) {
      rmSync(directory, { recursive: true, force: true });
      throw thrown;
    }
  }

  async start(): Promise<StartMoments> {
    const { began, spoke, stop } = await this.boot(this.directory);
    await stop();
    return { firstByte: spoke - began, exit: now() - began };
  }

  async idle(count: number): Promise<IdleInstances> {
    const machines: Machine[] = [];
    const stop = async (): Promise<void> => {
      for (const machine of machines.splice(0)) await machine.stop();
    };
    try {
      for (let index = 0; index < count; index++) machines.push(await this.raise());
      return { ids: machines.map(({ pid }) => String(pid)), stop };
    } catch (thrown) {
      await stop();
      throw thrown;
    }
  }

  pss(): ReadonlyMap<number, number> {
    return readPssOfTrees(({ pid }) => this.pids.has(pid));
  }

  diskBytes(): number {
    return allocatedBytes(this.directory);
  }

  command(): string {
    return shellWords(this.words);
  }

  close(): Promise<void> {
    rmSync(this.directory, { recursive: true, force: true });
    return Promise.resolve();
  }

  /** A machine with a directory and a writable disk of its own, as each has that the daemon raises. */
  private async raise(): Promise<Machine> {
    const directory = mkdtempSync(join(this.directory, "idle-"));
    const remove = (): void => rmSync(directory, { recursive: true, force: true });
    try {
      if (existsSync(join(this.directory, SCRATCH))) copyWithHoles(join(this.directory, SCRATCH), join(directory, SCRATCH));
      const machine = await this.boot(directory);
      return { ...machine, stop: () => machine.stop().finally(remove) };
    } catch (thrown) {
      remove();
      throw thrown;
    }
  }

  /** Resolves when the agent inside has said its first word. */
  private boot(directory: string): Promise<Machine> {
    const [program, ...programArguments] = this.words.map((word) => word.replaceAll(this.directory, directory)) as [string, ...string[]];
    return new Promise((resolve, reject) => {
      const server = createServer();
      const path = join(directory, SOCKET);
      let complaint = "";
      server.listen(path, () => {
        const began = now();
        const child = spawn(program, programArguments, { stdio: ["ignore", "pipe", "pipe"] });
        const closed = new Promise<void>((resolveClosed) => child.once("close", () => resolveClosed()));
        const pid = child.pid ?? 0;
        this.pids.add(pid);
        const stop = (): Promise<void> => {
          clearTimeout(timer);
          server.close();
          child.removeAllListeners("exit");
          child.kill("SIGKILL");
          this.pids.delete(pid);
          rmSync(path, { force: true });
          return closed;
        };
        const fail = (because: string): void => void stop().then(() => reject(new Error(`${because}: ${complaint}`)));
        const timer = setTimeout(() => fail(`the machine said nothing within ${BOOT_DEADLINE_MS / 1000} s`), BOOT_DEADLINE_MS);
        const hear = (chunk: Buffer): void => {
          complaint = (complaint + chunk.toString("utf8")).slice(-400);
        };
        child.stdout.on("data", hear);
        child.stderr.on("data", hear);
        child.once("error", (cause) => {
          clearTimeout(timer);
          server.close();
          reject(cause);
        });
        child.once("exit", (code) => code !== null && fail(`qemu exited with ${code}`));
        server.once("connection", (socket) => {
          socket.on("error", () => undefined);
          socket.once("data", () => {
            clearTimeout(timer);
            child.removeAllListeners("exit");
            resolve({ pid, began, spoke: now(), stop });
          });
        });
      });
    });
  }
}

interface Machine {
  readonly pid: number;
  /** When, on the monotonic clock, in seconds: asked for, and heard of. */
  readonly began: number;
  readonly spoke: number;
  readonly stop: () => Promise<void>;
}

/** A writable disk is mostly holes, which a plain copy would fill. */
function copyWithHoles(from: string, to: string): void {
  execFileSync("cp", ["--sparse=always", from, to], { stdio: "ignore" });
}

/** The agent's channel becomes a socket of ours, the writable disk a copy; everything else stays. */
export function bareArguments(original: readonly string[], directory: string): string[] {
  if (!/qemu/.test(original[0] ?? "")) throw new Error(`the machine's monitor is ${original[0] ?? "gone"}, not QEMU`);
  const words = original.map((word) => {
    if (/^socket,id=agent,fd=\d+$/.test(word)) return `socket,id=agent,path=${join(directory, SOCKET)}`;
    const disk = /^(.*file=)([^,]*\/scratch[^,/]*)(,.*)$/.exec(word);
    if (disk === null) return word;
    const copy = join(directory, SCRATCH);
    copyWithHoles(disk[2] as string, copy);
    return `${disk[1]}${copy}${disk[3]}`;
  });
  if (!words.some((word) => word.includes(SOCKET))) throw new Error("the machine's command line has no agent channel that is known here");
  if (words.some((word) => word.includes("fd="))) throw new Error("the machine has more descriptors than can be made again here");
  return words;
}
