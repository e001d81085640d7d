/** The programs that a fake image holds: each a few lines of script over the process's own system calls. */

import { randomBytes } from "node:crypto";
import type { TerminalSize } from "../process.ts";
import type { FakeFiles } from "./fake-files.ts";

/** What a program may do: the fake's system calls. None of them settles once the process was killed. */
export interface FakeSystem {
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly hostname: string;
  readonly kernel: string;
  readonly terminal: boolean;
  readonly files: FakeFiles;
  write(stream: "stdout" | "stderr", bytes: Uint8Array | string): Promise<void>;
  read(): Promise<Uint8Array | undefined>;
  sleep(ms: number): Promise<void>;
  /** Replaces the signal's default, which is to end the process. */
  trap(signal: string, act: () => void): void;
  terminalSize(): TerminalSize;
  /** False where the pids limit forbids it. */
  fork(): boolean;
  /** Takes memory; above the limit the whole sandbox is killed and this never returns. */
  allocate(bytes: number): Promise<void>;
}

export type FakeProgram = (system: FakeSystem, words: readonly string[]) => Promise<number>;

async function put(system: FakeSystem, text: string): Promise<number> {
  await system.write("stdout", text);
  return 0;
}

export const FAKE_PROGRAMS: Readonly<Record<string, FakeProgram>> = {
  true: async () => 0,
  echo: (system, words) => put(system, `${words.join(" ")}\n`),
  print: async (system, [stream = "stdout", text = ""]) => {
    await system.write(stream === "stderr" ? "stderr" : "stdout", Buffer.from(text, "latin1"));
    return 0;
  },
  exit: async (_system, [code = "0"]) => Number(code),
  sleep: async (system, [seconds = "0"]) => {
    await system.sleep(Number(seconds) * 1000);
    return 0;
  },
  cat: async (system) => {
    for (let bytes = await system.read(); bytes !== undefined; bytes = await system.read()) await system.write("stdout", bytes);
    return 0;
  },
  count: async (system) => {
    let total = 0;
    for (let bytes = await system.read(); bytes !== undefined; bytes = await system.read()) total += bytes.length;
    return put(system, `${total}\n`);
  },
  spew: async (system, [bytes = "0"]) => {
    const block = Buffer.alloc(64 * 1024, "x");
    for (let left = Number(bytes); left > 0; left -= block.length) await system.write("stdout", block.subarray(0, Math.min(left, block.length)));
    return 0;
  },
  tick: async (system, [count = "1", ms = "10"]) => {
    for (let number = 1; number <= Number(count); number++) {
      await system.write("stdout", `tick ${number}\n`);
      await system.sleep(Number(ms));
    }
    return 0;
  },
  trap: async (system, [signal = "SIGTERM", code = "0"]) => {
    const caught = Promise.withResolvers<number>();
    system.trap(signal, () => caught.resolve(Number(code)));
    await system.write("stdout", "ready\n");
    return caught.promise;
  },
  ignore: async (system, [signal = "SIGTERM"]) => {
    system.trap(signal, () => {});
    await system.write("stdout", "ready\n");
    await system.sleep(1e9);
    return 0;
  },
  environment: (system) => put(system, `${system.environment.join("\n")}\n`),
  directory: (system) => put(system, `${system.workingDirectory}\n`),
  user: (system) => put(system, `${system.user}\n`),
  hostname: (system) => put(system, `${system.hostname}\n`),
  kernel: (system) => put(system, `${system.kernel}\n`),
  terminal: (system) => put(system, system.terminal ? "yes\n" : "no\n"),
  size: async (system, [signal]) => {
    const size = () => `${system.terminalSize().rows} ${system.terminalSize().columns}\n`;
    await system.write("stdout", size());
    if (signal === undefined) return 0;
    const changed = Promise.withResolvers<number>();
    system.trap("SIGWINCH", () => void system.write("stdout", size()).then(() => changed.resolve(0)));
    return changed.promise;
  },
  read: async (system, [path = ""]) => {
    const text = system.files.read(path);
    if (text !== undefined) return put(system, text);
    await system.write("stderr", `${path}: no such file\n`);
    return 1;
  },
  write: async (system, [path = "", text = ""]) => (system.files.write(path, text) ? 0 : 1),
  fill: async (system, [path = "", bytes = "0"]) => (system.files.write(path, "x".repeat(Number(bytes))) ? 0 : 1),
  forks: async (system, [count = "0"]) => {
    for (let made = 0; made < Number(count); made++) if (!system.fork()) return 2;
    return put(system, `made ${count}\n`);
  },
  random: async (system, [bytes = "0"]) => {
    await system.write("stdout", randomBytes(Number(bytes)));
    return 0;
  },
  hog: async (system) => {
    for (;;) await system.allocate(16 * 1024 * 1024);
  },
};
