/**
 * The barest QEMU of the same kernel, devices and init: the command line of a machine that the daemon has just raised, started again by
 * hand, until the agent inside says its first word. No image is mounted, no command run, nothing confined or limited.
 */

import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SubjectDescription } from "../series.ts";
import { now, type StartMoments, type Subject } from "../subject.ts";
import { shellWords } from "../shell-words.ts";

const BOOT_DEADLINE_MS = 60_000;

export class RawQemu implements Subject {
  readonly description: SubjectDescription;
  private readonly directory: string;
  private readonly words: readonly string[];

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

  start(): Promise<StartMoments> {
    const [program, ...programArguments] = this.words as [string, ...string[]];
    return new Promise((resolve, reject) => {
      const server = createServer();
      const path = join(this.directory, "agent.sock");
      let complaint = "";
      server.listen(path, () => {
        const began = now();
        const child = spawn(program, programArguments, { stdio: ["ignore", "pipe", "pipe"] });
        const finish = (settle: () => void): void => {
          clearTimeout(timer);
          server.close();
          child.once("close", settle);
          child.kill("SIGKILL");
          rmSync(path, { force: true });
        };
        const timer = setTimeout(
          () => finish(() => reject(new Error(`the machine said nothing within ${BOOT_DEADLINE_MS / 1000} s: ${complaint}`))),
          BOOT_DEADLINE_MS,
        );
        const hear = (chunk: Buffer): void => {
          complaint = (complaint + chunk.toString("utf8")).slice(-400);
        };
        child.stdout.on("data", hear);
        child.stderr.on("data", hear);
        child.once("error", reject);
        child.once("exit", (code) => {
          if (code !== null) finish(() => reject(new Error(`qemu exited with ${code}: ${complaint}`)));
        });
        server.once("connection", (socket) => {
          socket.once("data", () => {
            const firstByte = now() - began;
            socket.destroy();
            child.removeAllListeners("exit");
            finish(() => resolve({ firstByte, exit: now() - began }));
          });
          socket.on("error", () => undefined);
        });
      });
    });
  }

  command(): string {
    return shellWords(this.words);
  }

  close(): Promise<void> {
    rmSync(this.directory, { recursive: true, force: true });
    return Promise.resolve();
  }
}

/** The agent's channel becomes a socket of ours, the writable disk a copy; everything else stays. */
export function bareArguments(original: readonly string[], directory: string): string[] {
  if (!/qemu/.test(original[0] ?? "")) throw new Error(`the machine's monitor is ${original[0] ?? "gone"}, not QEMU`);
  const words = original.map((word) => {
    if (/^socket,id=agent,fd=\d+$/.test(word)) return `socket,id=agent,path=${join(directory, "agent.sock")}`;
    const disk = /^(.*file=)([^,]*\/scratch[^,/]*)(,.*)$/.exec(word);
    if (disk === null) return word;
    const copy = join(directory, "scratch");
    copyFileSync(disk[2] as string, copy);
    return `${disk[1]}${copy}${disk[3]}`;
  });
  if (!words.some((word) => word.includes("agent.sock"))) throw new Error("the machine's command line has no agent channel that is known here");
  if (words.some((word) => word.includes("fd="))) throw new Error("the machine has more descriptors than can be made again here");
  return words;
}
