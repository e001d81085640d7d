/** A daemon of a test's own: another root, a copy of the launcher, started and killed like a user's. */

import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { findStrays, readTraces } from "../../harness/host-traces.ts";
import { findRemains, watchRoot } from "../../harness/open-roots.ts";
import { findNativeProgram } from "./native-program.ts";
import { removeGroups } from "./own-launcher.ts";

const checkout = join(import.meta.dirname, "../../..");

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

export interface RunResult {
  readonly code: number | null;
  readonly stderr: string;
}

export class OwnDaemon {
  readonly root: string;
  readonly socket: string;
  readonly #config: string;
  readonly #unwatch: () => void;
  #child: ChildProcess | undefined;

  constructor(area: string) {
    this.root = mkdtempSync(`/tmp/bulkhead-${area}-`);
    this.socket = join(this.root, "run/bulkhead.sock");
    this.#config = join(this.root, "config.json");
    const program = findNativeProgram("bulkhead-launcher");
    if (program === undefined) throw new Error("bulkhead-launcher is not built");
    const launcher = join(this.root, "bulkhead-launcher");
    copyFileSync(program, launcher);
    writeFileSync(this.#config, JSON.stringify({ launcher }));
    this.#unwatch = watchRoot({ findStrays: () => this.#findStrays() });
  }

  get #rootId(): string {
    return (JSON.parse(readFileSync(join(this.root, "identity.json"), "utf8")) as { rootId: string }).rootId;
  }

  async #findStrays(): Promise<readonly string[]> {
    for (let tries = 0; ; tries++) {
      const listed = this.#child === undefined ? undefined : await this.call("GET", "/containers/json?all=1").catch(() => undefined);
      if (listed === undefined) return [];
      const workloads = (listed.body as unknown as { Id: string }[]).map(({ Id }) => Id);
      const strays = findStrays(readTraces({ root: this.root, rootId: this.#rootId }), workloads);
      if (strays.length === 0 || tries === 100) return strays;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Resolves when it says that it listens; rejects with its words where it ends first. */
  async start(): Promise<void> {
    const { child, ready } = this.#spawn([]);
    this.#child = child;
    const result = await ready;
    if (result !== undefined) throw new Error(`the daemon ended with ${result.code}: ${result.stderr}`);
  }

  /** Runs one that is expected not to come up. */
  async tryStart(...argv: string[]): Promise<RunResult> {
    const { child, ready } = this.#spawn(argv);
    const result = await ready;
    if (result !== undefined) return result;
    child.kill("SIGKILL");
    return { code: null, stderr: "it listens" };
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    this.#child = undefined;
    const gone = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    child.kill(signal);
    return gone;
  }

  launcherPid(): number {
    return Number(readFileSync(join(this.root, "launcher.lock"), "utf8"));
  }

  call(method: string, path: string, body?: object | Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const bytes = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
      const headers =
        bytes === undefined ? {} : { "Content-Type": Buffer.isBuffer(body) ? "application/x-tar" : "application/json", "Content-Length": bytes.length };
      const asked = request({ socketPath: this.socket, method, path, headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, text, body: parseBody(text) });
        });
      });
      asked.on("error", reject);
      asked.end(bytes);
    });
  }

  /** Ends daemon and launcher and everything that they raised, and removes the root. */
  async close(): Promise<void> {
    this.#unwatch();
    if (this.#child === undefined) await this.start().catch(() => undefined);
    const listed = await this.call("GET", "/containers/json?all=1").catch(() => undefined);
    for (const { Id } of (listed?.body ?? []) as unknown as { Id: string }[]) await this.call("DELETE", `/containers/${Id}?force=1`);
    await this.end("SIGTERM");
    const launcher = this.launcherPid();
    try {
      process.kill(launcher, "SIGTERM");
      for (let waited = 0; existsSync(`/proc/${launcher}`) && waited < 100; waited++) await new Promise((resolve) => setTimeout(resolve, 20));
      process.kill(launcher, "SIGKILL");
    } catch {
      // it is gone already
    }
    const rootId = this.#rootId;
    removeGroups(rootId);
    const remains = findRemains(this.root, rootId);
    rmSync(this.root, { recursive: true, force: true });
    if (remains.length > 0) throw new Error(`the root left on the host: ${remains.join("; ")}`);
  }

  #spawn(argv: readonly string[]): { child: ChildProcess; ready: Promise<RunResult | undefined> } {
    const child = spawn(process.execPath, [join(checkout, "src/daemon/main.ts"), "--root", this.root, "--config", this.#config, ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const ready = new Promise<RunResult | undefined>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        if (chunk.toString().includes("listening on")) resolve(undefined);
      });
      child.once("exit", (code) => resolve({ code, stderr }));
    });
    return { child, ready };
  }
}

function parseBody(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Names of what lies in a directory; empty where there is none. */
export function listNames(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).toSorted() : [];
}
