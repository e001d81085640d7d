/** The stock `docker` client, driven as a user drives it. */

import { execFile, spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ClientResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Version of the client on PATH; undefined where there is none. */
export function findClientVersion(): string | undefined {
  const { status, stdout } = spawnSync("docker", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

export class StockClient {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #configuration = mkdtempSync(join(tmpdir(), "docker-config-"));

  constructor(socket: string) {
    // A configuration of its own: credentials and contexts of whoever runs the tests are none of our business.
    this.#environment = {
      ...process.env,
      DOCKER_HOST: `unix://${socket}`,
      DOCKER_CONFIG: this.#configuration,
      DOCKER_CLI_HINTS: "false",
    };
    delete this.#environment.DOCKER_CONTEXT;
  }

  dispose(): void {
    rmSync(this.#configuration, { recursive: true, force: true });
  }

  run(words: readonly string[], input: string | Uint8Array = ""): Promise<ClientResult> {
    return new Promise((resolve) => {
      const child = execFile("docker", [...words], { env: this.#environment, timeout: 20_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr });
      });
      child.stdin?.end(input);
    });
  }

  /** At a terminal of its own, by `script`; what it prints arrives on stdout. */
  terminal(command: string): ChildProcessWithoutNullStreams {
    return spawn("script", ["-qefc", command, "/dev/null"], { env: this.#environment });
  }

  begin(words: readonly string[]): ChildProcessWithoutNullStreams {
    return spawn("docker", [...words], { env: this.#environment });
  }
}

/** Collects what a child prints until it contains `text`. Rejects after ten seconds with what came instead. */
export function untilPrints(child: ChildProcessWithoutNullStreams, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = "";
    const timer = setTimeout(() => reject(new Error(`no ${JSON.stringify(text)} in ${JSON.stringify(seen)}`)), 10_000);
    child.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      if (!seen.includes(text)) return;
      clearTimeout(timer);
      resolve(seen);
    });
  });
}

export function exitOf(child: ChildProcessWithoutNullStreams): Promise<number> {
  return new Promise((resolve) => child.once("close", (code) => resolve(code ?? -1)));
}
