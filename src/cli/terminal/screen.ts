/** This program's own terminal: raw mode that is always taken back, and its size. */

import { spawnSync } from "node:child_process";
import { isTerminal } from "../output.ts";

export interface ScreenSize {
  readonly rows: number;
  readonly columns: number;
}

/** Undefined where there is no terminal, or one without a size. */
export function findScreenSize(): ScreenSize | undefined {
  for (const stream of [process.stdout, process.stdin, process.stderr]) {
    if (!("getWindowSize" in stream) || !stream.isTTY) continue;
    const [columns, rows] = (stream as NodeJS.WriteStream).getWindowSize();
    if (rows > 0 && columns > 0) return { rows, columns };
  }
  return undefined;
}

/** Calls back on every change of size until the returned function is called. */
export function watchScreenSize(changed: (size: ScreenSize) => void): () => void {
  const look = (): void => {
    // Streams learn of a new size after the signal: ask them to look now.
    for (const stream of [process.stdout, process.stderr] as unknown as { _refreshSize?: () => void }[]) stream._refreshSize?.();
    const size = findScreenSize();
    if (size !== undefined) changed(size);
  };
  process.on("SIGWINCH", look);
  return () => void process.off("SIGWINCH", look);
}

/** Every key goes through unchanged, Ctrl-C included, until the returned function is called or this program ends in whatever way. */
export function enterRawMode(): () => void {
  if (!isTerminal(0)) return () => undefined;
  const before = process.stdin.isRaw;
  let left = false;
  const leave = (): void => {
    if (left) return;
    left = true;
    process.stdin.setRawMode(before);
    process.off("exit", leave);
  };
  process.on("exit", leave);
  process.stdin.setRawMode(true);
  // Node leaves the terminal to write a return before each line feed; what runs inside has done so already, where it wants that.
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  return leave;
}
