/** The fake supervisor's log: json-file lines as Docker writes them, both streams, partial lines, rotation by size. */

import { appendFileSync, mkdirSync, existsSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { LogSpec } from "../spec.ts";

/** A longer line is cut into entries of this size; only the last carries the newline. */
const MAX_ENTRY_BYTES = 16 * 1024;

type Stream = "stdout" | "stderr";

export class FakeLog {
  private readonly spec: LogSpec;
  private readonly now: () => string;
  private readonly pending: Record<Stream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  constructor(spec: LogSpec, now: () => string) {
    this.spec = spec;
    this.now = now;
    if (spec.kind === "json-file") {
      mkdirSync(dirname(spec.path), { recursive: true });
      if (!existsSync(spec.path)) appendFileSync(spec.path, "");
    }
  }

  write(stream: Stream, bytes: Uint8Array): void {
    if (this.spec.kind === "none") return;
    let rest = Buffer.concat([this.pending[stream], bytes]);
    for (;;) {
      const newline = rest.indexOf(10);
      const whole = newline >= 0 && newline < MAX_ENTRY_BYTES ? newline + 1 : rest.length >= MAX_ENTRY_BYTES ? MAX_ENTRY_BYTES : 0;
      if (whole === 0) break;
      this.entry(stream, rest.subarray(0, whole));
      rest = rest.subarray(whole);
    }
    this.pending[stream] = Buffer.from(rest);
  }

  /** The stream is over: what stands without a newline is written as it is. */
  finish(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.pending[stream].length > 0) this.entry(stream, this.pending[stream]);
      this.pending[stream] = Buffer.alloc(0);
    }
  }

  private entry(stream: Stream, bytes: Buffer): void {
    if (this.spec.kind === "none") return;
    const line = `${JSON.stringify({ log: bytes.toString("utf8"), stream, time: this.now() })}\n`;
    const { path, maxBytes } = this.spec;
    if (maxBytes !== undefined && existsSync(path) && statSync(path).size + line.length > maxBytes) this.rotate();
    appendFileSync(path, line);
  }

  private rotate(): void {
    if (this.spec.kind === "none") return;
    const { path, maxFiles } = this.spec;
    for (let number = maxFiles - 1; number >= 1; number--) {
      const from = number === 1 ? path : `${path}.${number - 1}`;
      if (existsSync(from)) renameSync(from, `${path}.${number}`);
    }
  }
}
