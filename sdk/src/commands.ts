/** Commands in a sandbox: run to their end, with their output collected. */

import { randomUUID } from "node:crypto";
import type { Client } from "./client.ts";
import { Failure } from "./failure.ts";
import type { Cancellable } from "./workloads.ts";

export interface CommandOptions extends Cancellable {
  /**
   * Limit for this command alone; absent is none. It says nothing about the sandbox's life, nor about requests. When it has
   * passed, the command is killed and `run` rejects TIMED_OUT; its children are killed too, where the image has a shell to find them with.
   */
  readonly timeoutMs?: number;
  /** Reject with `CommandFailed` where the exit code is not 0. Otherwise any exit code is a result. */
  readonly check?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly user?: string;
  /** Given to the command's stdin, which then ends. Absent: it reads end-of-file at once. */
  readonly stdin?: string | Uint8Array;
  /** Most bytes of output that are kept of each stream; what goes beyond rejects EXHAUSTED. 64 MiB where absent. */
  readonly maxOutputBytes?: number;
}

export interface CommandResult {
  readonly exitCode: number;
  /** As text; the bytes stand beside it. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderrBytes: Uint8Array;
}

/** A command that was run with `check` and did not succeed. It carries the same fields as a success. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly result: CommandResult;

  constructor(command: readonly string[], result: CommandResult) {
    const last = result.stderr.trimEnd().split("\n").at(-1) ?? "";
    super(`${JSON.stringify(command.join(" ").slice(0, 120))} exited with ${result.exitCode}${last === "" ? "" : `: ${last.slice(0, 200)}`}`);
    this.result = result;
  }
}

const DEFAULT_MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** Finds what a killed command has left behind by a word in its environment, and kills that too. Needs `sh` and /proc in the workload. */
const KILL_SCRIPT = 'for p in /proc/[0-9]*; do if grep -qs "$0" "$p/environ"; then kill -9 "${p#/proc/}" 2>/dev/null; fi; done; exit 0';

export class Commands {
  private readonly client: Client;
  private readonly workload: string;

  constructor(client: Client, workload: string) {
    this.client = client;
    this.workload = workload;
  }

  /** A string is given to `/bin/sh -c`; a list is run as it is. */
  async run(command: string | readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const words = typeof command === "string" ? ["/bin/sh", "-c", command] : [...command];
    if (options.timeoutMs !== undefined && !(options.timeoutMs > 0)) {
      throw new Failure("INVALID_SPEC", `timeoutMs is ${options.timeoutMs}`, { remedy: "leave it out for no limit, or give milliseconds above 0" });
    }
    const mark = `BULKHEAD_COMMAND=${randomUUID()}`;
    const environment = Object.entries(options.environment ?? {}).map(([name, value]) => `${name}=${value}`);
    const id = await this.client.execs.create(
      this.workload,
      {
        Cmd: words,
        Env: options.timeoutMs === undefined ? environment : [...environment, mark],
        AttachStdin: options.stdin !== undefined,
        AttachStdout: true,
        AttachStderr: true,
        ...(options.workingDirectory === undefined ? {} : { WorkingDir: options.workingDirectory }),
        ...(options.user === undefined ? {} : { User: options.user }),
      },
      { signal: options.signal },
    );
    const result = await this.finish(id, { ...options, mark });
    if (options.check && result.exitCode !== 0) throw new CommandFailed(words, result);
    return result;
  }

  private async finish(id: string, options: CommandOptions & { readonly mark: string }): Promise<CommandResult> {
    const limit = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
    const attached = await this.client.execs.start(id, { terminal: false, signal: options.signal });
    let timedOut = false;
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => void expire(), options.timeoutMs);
    const expire = async (): Promise<void> => {
      timedOut = true;
      await this.client.execs.signal(id, "SIGKILL").catch(() => undefined);
      await this.killMarked(options.mark).catch(() => undefined);
      attached.close();
    };
    const kept = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const sizes = { stdout: 0, stderr: 0 };
    const feeding = options.stdin === undefined ? Promise.resolve() : feed(attached, options.stdin);
    try {
      for await (const { stream, bytes } of attached.output) {
        sizes[stream] += bytes.length;
        if (sizes[stream] > limit)
          throw new Failure("EXHAUSTED", `the command wrote more than ${limit} bytes to ${stream}`, {
            workload: this.workload,
            remedy: "raise maxOutputBytes, or write to a file",
          });
        kept[stream].push(bytes);
      }
      await feeding;
    } catch (thrown) {
      if (!timedOut) throw thrown;
    } finally {
      clearTimeout(timer);
      attached.close();
    }
    if (timedOut)
      throw new Failure("TIMED_OUT", `the command ran longer than its limit of ${options.timeoutMs} ms and was killed`, { workload: this.workload });
    const exitCode = await this.client.execs.exitCode(id, { signal: options.signal });
    const stdoutBytes = Buffer.concat(kept.stdout);
    const stderrBytes = Buffer.concat(kept.stderr);
    return { exitCode, stdout: stdoutBytes.toString("utf8"), stderr: stderrBytes.toString("utf8"), stdoutBytes, stderrBytes };
  }

  private async killMarked(mark: string): Promise<void> {
    const id = await this.client.execs.create(this.workload, { Cmd: ["/bin/sh", "-c", KILL_SCRIPT, mark], User: "0", AttachStdout: true, AttachStderr: true });
    const attached = await this.client.execs.start(id, { terminal: false });
    for await (const _ of attached.output);
  }
}

/** A command may end without reading its input: that is its choice and no failure. */
async function feed(attached: { write(bytes: Uint8Array): Promise<void>; endInput(): void }, stdin: string | Uint8Array): Promise<void> {
  const bytes = typeof stdin === "string" ? Buffer.from(stdin) : stdin;
  try {
    for (let offset = 0; offset < bytes.length; offset += 65536) await attached.write(bytes.subarray(offset, offset + 65536));
    attached.endInput();
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== "CONNECTION_LOST") throw thrown;
  }
}
