/** One command of a peer's client, timed as users feel it: from spawn to exit. */

import { spawn } from "node:child_process";
import { now } from "../subject.ts";

/** What it printed. Rejects with what it complained where it failed. */
export async function runToEnd(words: readonly string[]): Promise<string> {
  return (await timeToEnd(words)).output;
}

/** `seconds` from spawn to exit. Rejects with what it complained where it failed. */
export function timeToEnd(words: readonly string[]): Promise<{ readonly seconds: number; readonly output: string }> {
  const [program, ...rest] = words as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const began = now();
    const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString("utf8")).slice(-400);
    });
    child.on("error", reject);
    // Not "close": what a background process of the tool keeps open is not the user's waiting.
    child.on("exit", (code) => {
      const seconds = now() - began;
      if (code === 0) setImmediate(() => resolve({ seconds, output }));
      else reject(new Error(`${words.join(" ")} exited with ${code}: ${complaint.trim()}`));
    });
  });
}
