/** A real daemon on a root of its own, for tests: started from dist/, killed and restarted at will, cleared away at the end. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@bulkhead/sdk";
import { findStrays, type HostTraces, readTraces } from "./host-traces.ts";
import { findRemains, watchRoot } from "./open-roots.ts";

export const CHECKOUT = resolve(import.meta.dirname, "../..");

export interface CommandOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestDaemon {
  readonly root: string;
  readonly socket: string;
  readonly client: Client;
  private readonly configuration: object;
  private process: ChildProcess | undefined;
  private log = "";
  private unwatch = (): void => {};
  private lastRootId: string | undefined;

  private constructor(root: string, configuration: object) {
    this.root = root;
    this.configuration = configuration;
    this.socket = join(root, "api.sock");
    this.client = new Client({ host: `unix://${this.socket}` });
  }

  /**
   * Starts on a fresh root and, unless told otherwise, loads the embedded image. `below`: where the root is made. Templates are made in the
   * background and would be seen where nothing may be left: they are off unless the configuration says otherwise.
   */
  static async open(options: { readonly image?: boolean; readonly configuration?: object; readonly below?: string } = {}): Promise<TestDaemon> {
    const daemon = new TestDaemon(mkdtempSync(join(options.below ?? tmpdir(), "bulkhead-test-")), { templates: false, ...options.configuration });
    await daemon.start();
    daemon.unwatch = watchRoot(daemon);
    if (options.image !== false) await daemon.loadBusybox();
    return daemon;
  }

  get pid(): number {
    const pid = this.process?.pid;
    if (pid === undefined) throw new Error("the daemon does not run");
    return pid;
  }

  get host(): string {
    return `unix://${this.socket}`;
  }

  /** As it is, or as it last was: a daemon that was reset takes it away with the rest. */
  get rootId(): string {
    const file = join(this.root, "identity.json");
    if (this.lastRootId === undefined || existsSync(file)) this.lastRootId = (JSON.parse(readFileSync(file, "utf8")) as { rootId: string }).rootId;
    return this.lastRootId;
  }

  get output(): string {
    return this.log;
  }

  launcherPid(): number {
    const pids = readProcesses().filter(({ command }) => command.includes("bulkhead-launcher") && command.includes(` ${this.root} `));
    const first = pids.find(({ parentIsLauncher }) => !parentIsLauncher);
    if (first === undefined) throw new Error("no launcher runs for this root");
    return first.pid;
  }

  async start(): Promise<void> {
    const node = join(CHECKOUT, "node_modules/.bin/node");
    const words = [join(CHECKOUT, "dist/daemon.js"), "--root", this.root, "--socket", this.socket];
    const file = join(this.root, "config.json");
    writeFileSync(file, JSON.stringify(this.configuration));
    words.push("--config", file);
    const child = spawn(node, words, { stdio: ["ignore", "pipe", "pipe"] });
    this.process = child;
    const hear = (chunk: Buffer): void => {
      this.log = (this.log + chunk.toString("utf8")).slice(-20_000);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    const deadline = Date.now() + 20_000;
    for (;;) {
      const ended = child.exitCode ?? child.signalCode;
      if (ended !== null) throw new Error(`the daemon ended with ${ended}: ${this.log}`);
      if (existsSync(this.socket) && (await this.answers())) {
        void this.rootId;
        return;
      }
      if (Date.now() > deadline) throw new Error(`the daemon did not answer within 20 s: ${this.log}`);
      await sleep(20);
    }
  }

  /** Begins a start, and kills it so much later: in the middle of its recovery, most likely. */
  async dieStarting(afterMs: number): Promise<void> {
    const starting = this.start().catch(() => undefined);
    await sleep(afterMs);
    await this.kill();
    await starting;
  }

  private async answers(): Promise<boolean> {
    try {
      await this.client.system.ping();
      return true;
    } catch {
      return false;
    }
  }

  /** SIGKILL by default: nothing can be tidied up. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((settle) => child.once("exit", settle));
    child.kill(signal);
    await gone;
    this.process = undefined;
  }

  async loadBusybox(): Promise<void> {
    const archive = join(this.root, "busybox.tar");
    await run(join(CHECKOUT, "node_modules/.bin/node"), [join(CHECKOUT, "scripts/fixtures/busybox-image.ts"), archive]);
    const loaded = await this.cli("load", "-q", "-i", archive);
    if (loaded.code !== 0) throw new Error(`the embedded image did not load: ${loaded.stderr}`);
    rmSync(archive);
  }

  /** Our own command line against this daemon. */
  cli(...words: string[]): Promise<CommandOutcome> {
    return run(join(CHECKOUT, "bin/bulkhead"), words, { BULKHEAD_HOST: this.host });
  }

  /** The stock client against this daemon. */
  docker(...words: string[]): Promise<CommandOutcome> {
    return run("docker", ["-H", this.host, ...words]);
  }

  traces(): HostTraces {
    return readTraces(this);
  }

  /** Traces once they are as `expected`, or as they stay for two seconds: the last of the unmaking goes on after the answer. */
  async settledTraces(expected: HostTraces): Promise<HostTraces> {
    const wanted = JSON.stringify(expected);
    for (let tries = 0; tries < 100; tries++) {
      const now = this.traces();
      if (JSON.stringify(now) === wanted) return now;
      await sleep(50);
    }
    return this.traces();
  }

  /** What still stands after so many looks (five seconds) and belongs to no workload that is listed. Of a daemon that a test killed, nothing is said. */
  async findStrays(looks = 100): Promise<readonly string[]> {
    for (let tries = 1; ; tries++) {
      if (this.process?.exitCode !== null || this.process.signalCode !== null) return [];
      const workloads = (await this.client.workloads.list({ all: true })).map(({ Id }) => Id);
      const traces = this.traces();
      const strays = findStrays(traces, [...workloads, ...this.findTemplatesInTheMaking(traces)]);
      if (strays.length === 0 || tries >= looks) return strays;
      await sleep(50);
    }
  }

  /** They are made in the background, when the daemon likes, as workloads that nobody sees; one that is made has but files of its own. */
  private findTemplatesInTheMaking(traces: HostTraces): string[] {
    const places = join(this.root, "templates");
    const names = listNames(places).flatMap((kind) => listNames(join(places, kind)));
    const standing = JSON.stringify(traces);
    return names.filter((name) => standing.includes(name.slice(0, 12)));
  }

  /** Removes every workload, ends daemon and launcher, and takes the root away. */
  async close(): Promise<void> {
    this.unwatch();
    const { rootId } = this;
    // A test may have stopped it by its own means.
    if (this.process?.exitCode === null) {
      for (const { Id } of await this.client.workloads.list({ all: true }))
        await this.client.workloads.remove(Id, { force: true, volumes: true }).catch(() => undefined);
      await this.cli("system", "reset", "--force", "--stop");
    }
    await this.kill("SIGTERM");
    this.client.close();
    // Whatever was killed in the test: no bridge, table or control group may be left for the next one.
    const torn = await run(join(CHECKOUT, "dist/native/bulkhead-launcher"), ["--teardown", "--root", this.root]);
    if (torn.code !== 0) throw new Error(`the root could not be torn down: ${torn.stderr}`);
    const remains = findRemains(this.root, rootId);
    rmSync(this.root, { recursive: true, force: true });
    if (remains.length > 0) throw new Error(`the root left on the host: ${remains.join("; ")}`);
  }
}

function listNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // none was made yet, or a reset took them
  }
}

interface RunningProcess {
  readonly pid: number;
  /** Arguments joined by blanks, with one behind the last. */
  readonly command: string;
  readonly parentIsLauncher: boolean;
}

function readProcesses(): RunningProcess[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        return [{ pid: Number(name), parent, command: readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ") }];
      } catch {
        return []; // gone in between
      }
    });
  const launchers = new Set(all.filter(({ command }) => command.includes("bulkhead-launcher")).map(({ pid }) => pid));
  return all.map(({ pid, parent, command }) => ({ pid, command, parentIsLauncher: launchers.has(parent) }));
}

/** Runs a program to its end; never rejects for its exit code. */
export function run(
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  options: { readonly timeoutMs?: number; readonly input?: string } = {},
): Promise<CommandOutcome> {
  return new Promise((settle, reject) => {
    const child = execFile(
      program,
      words,
      { env: { ...process.env, ...environment }, maxBuffer: 64 * 1024 * 1024, timeout: options.timeoutMs ?? 60_000, killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code === "string") reject(error);
        else if (error?.killed === true)
          reject(new Error(`${program} ${words.join(" ")} did not end within ${options.timeoutMs ?? 60_000} ms; it said: ${stdout}${stderr}`));
        else settle({ code: child.exitCode ?? 128, stdout, stderr });
      },
    );
    // A program that does not read may be gone before.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}
