/** The plain host, without any boundary: the control beside which costs are seen. */

import { spawn } from "node:child_process";
import { release } from "node:os";
import type { SubjectDescription } from "../series.ts";
import { type GaugeReading, now, type StartMoments, type Subject } from "../subject.ts";
import { shellWords } from "../shell-words.ts";

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

  command(metric: string, command: readonly string[]): string {
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
