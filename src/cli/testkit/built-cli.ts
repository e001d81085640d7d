/** The program as users run it, bundled anew for the tests that run it. */

import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUNDLES, buildBundle } from "../../../scripts/bundles.ts";

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly outcome: Promise<Outcome>;
  /** Resolves when stdout has shown the text; rejects where the program ends without. */
  shown(text: string): Promise<void>;
  type(text: string): void;
  endInput(): void;
  kill(signal: NodeJS.Signals): void;
}

interface Surroundings {
  readonly host?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Inside a terminal of its own, 80 by 24 unless it is told otherwise. */
  readonly terminal?: boolean;
}

export class BuiltCli {
  readonly program: string;
  private readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.program = join(directory, "cli.cjs");
  }

  static async build(): Promise<BuiltCli> {
    const directory = await mkdtemp(join(tmpdir(), "bulkhead-cli-"));
    for (const bundle of BUNDLES.filter(({ name }) => name.startsWith("cli"))) await buildBundle(bundle, { directory, version: "0.0.0-test" });
    return new BuiltCli(directory);
  }

  /** A directory that goes with this program. */
  scratch(): string {
    return mkdtempSync(join(this.directory, "scratch-"));
  }

  async run(words: readonly string[], surroundings: Surroundings & { readonly input?: string } = {}): Promise<Outcome> {
    const running = this.start(words, surroundings);
    if (surroundings.input !== undefined) running.type(surroundings.input);
    running.endInput();
    return running.outcome;
  }

  start(words: readonly string[], surroundings: Surroundings = {}): Running {
    return this.startShell([process.execPath, "--", this.program, ...words].map(quoteWord).join(" "), surroundings, words);
  }

  /** A line for `sh`; in a terminal where asked for. */
  startShell(line: string, surroundings: Surroundings, words?: readonly string[]): Running {
    const [file, args] =
      surroundings.terminal === true
        ? (["script", ["-qefc", line, "/dev/null"]] as const)
        : words === undefined
          ? (["sh", ["-c", line]] as const)
          : ([process.execPath, ["--", this.program, ...words]] as const);
    const child = spawn(file, args, {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: this.directory,
        TERM: "xterm",
        SHELL: "/bin/sh",
        ...(surroundings.host === undefined ? {} : { BULKHEAD_HOST: surroundings.host }),
        ...surroundings.environment,
      },
    });
    let stdout = "";
    let stderr = "";
    const waiting: { text: string; resolve: () => void; reject: (thrown: Error) => void }[] = [];
    child.stdout.on("data", (part: Buffer) => {
      stdout += part.toString("utf8");
      for (const one of waiting) if (stdout.includes(one.text)) one.resolve();
    });
    child.stderr.on("data", (part: Buffer) => (stderr += part.toString("utf8")));
    child.stdin.on("error", () => undefined);
    const outcome = new Promise<Outcome>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => {
        for (const one of waiting) one.reject(new Error(`ended without showing ${JSON.stringify(one.text)}: ${stdout}${stderr}`));
        resolve({ code, signal, stdout, stderr });
      });
    });
    return {
      outcome,
      shown: (text) =>
        new Promise((resolve, reject) => {
          if (stdout.includes(text)) resolve();
          else waiting.push({ text, resolve, reject });
        }),
      type: (text) => void child.stdin.write(text),
      endInput: () => void child.stdin.end(),
      kill: (signal) => void child.kill(signal),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
