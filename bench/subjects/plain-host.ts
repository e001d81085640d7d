/** The plain host, without any boundary: the control beside which costs are seen. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import type { SubjectDescription } from "../series.ts";
import { type GaugeReading, type GaugeServer, now, type StartMoments, type Subject } from "../subject.ts";
import { shellWords } from "../shell-words.ts";

/** A disk by the file system hierarchy's rules, which /tmp need not be. */
const SCRATCH = "/var/tmp";

export class PlainHost implements Subject {
  readonly description: SubjectDescription = { id: "raw-host", engine: "linux", version: release(), emulated: false };
  private readonly gaugePath: string;

  constructor(gaugePath: string) {
    this.gaugePath = gaugePath;
  }

  start(command: readonly string[]): Promise<StartMoments> {
    return timeProcess(command[0] as string, command.slice(1));
  }

  async gauge(measure: string): Promise<GaugeReading> {
    let text = "";
    await timeProcess(this.gaugePath, [measure], (chunk) => {
      text += chunk;
    });
    return { measure, ...(JSON.parse(text) as object) };
  }

  /** There is no volume here: both places are the host's own file system. */
  async write(measure: string): Promise<GaugeReading> {
    const directory = mkdtempSync(join(SCRATCH, "bulkhead-gauge-"));
    let text = "";
    try {
      await timeProcess(this.gaugePath, [measure, directory], (chunk) => {
        text += chunk;
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    return { measure, ...(JSON.parse(text) as object) };
  }

  serve(): Promise<GaugeServer> {
    const child = spawn(this.gaugePath, ["serve", "0"], { stdio: ["ignore", "pipe", "ignore"] });
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const stop = (): Promise<void> => {
      child.kill("SIGKILL");
      return closed;
    };
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", () => reject(new Error("the gauge serves no port")));
      child.stdout.once("data", (chunk: Buffer) => {
        const { port } = JSON.parse(chunk.toString("utf8")) as { port: number };
        resolve({ address: `127.0.0.1:${port}`, stop });
      });
    });
  }

  command(metric: string, command: readonly string[]): string {
    if (command[0] === "/gauge") return shellWords(["dist/native/bulkhead-gauge", ...command.slice(1).map((word) => (word.startsWith("/") ? SCRATCH : word))]);
    return metric.startsWith("startup") ? shellWords(command) : `dist/native/bulkhead-gauge ${metric}`;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Runs a program to its end; rejects with its last words where it failed. */
export function timeProcess(program: string, programArguments: readonly string[], onOutput?: (text: string) => void): Promise<StartMoments> {
  return new Promise((resolve, reject) => {
    const began = now();
    const child = spawn(program, programArguments, { stdio: ["ignore", "pipe", "pipe"] });
    let firstByte: number | undefined;
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => {
      firstByte ??= now() - began;
      onOutput?.(chunk.toString("utf8"));
    });
    child.stderr.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString("utf8")).slice(-500);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const exit = now() - began;
      if (code !== 0) reject(new Error(`${program} exited with ${code}: ${complaint.trim()}`));
      else resolve(firstByte === undefined ? { exit } : { firstByte, exit });
    });
  });
}
