/** Files in a sandbox. Bytes are bytes; only `readText` and a string given to `write` are text (UTF-8). */

import type { Commands } from "./commands.ts";
import { Failure } from "./failure.ts";
import type { PathStat, WorkloadFiles, WriteFilesOptions } from "./workload-files.ts";
import type { Cancellable } from "./workloads.ts";

export class Files {
  private readonly commands: Commands;

  private readonly archives: WorkloadFiles;
  private readonly id: string;

  constructor(commands: Commands, archives: WorkloadFiles, id: string) {
    this.commands = commands;
    this.archives = archives;
    this.id = id;
  }

  /** Rejects NOT_FOUND where nothing lies there. */
  stat(path: string, options: Cancellable = {}): Promise<PathStat> {
    return this.archives.stat(this.id, path, options);
  }

  /** A tar of what lies there with all below it, as it is read: no program of the sandbox's is needed. */
  async readArchive(path: string, options: Cancellable = {}): Promise<AsyncIterable<Uint8Array>> {
    return (await this.archives.read(this.id, path, options)).archive;
  }

  /** Unpacks a tar into a directory that is there. */
  writeArchive(directory: string, archive: AsyncIterable<Uint8Array>, options: WriteFilesOptions = {}): Promise<void> {
    return this.archives.write(this.id, directory, archive, options);
  }

  /** Rejects NOT_FOUND where there is no such file. */
  async read(path: string, options: Cancellable = {}): Promise<Uint8Array> {
    const result = await this.commands.run(["cat", "--", path], options);
    if (result.exitCode !== 0) throw readFailure(path, result.stderr);
    return result.stdoutBytes;
  }

  async readText(path: string, options: Cancellable = {}): Promise<string> {
    return new TextDecoder("utf-8", { fatal: true }).decode(await this.read(path, options));
  }

  /** Replaces the file; directories above it are made. */
  async write(path: string, content: string | Uint8Array, options: Cancellable = {}): Promise<void> {
    const script = 'd=${1%/*}; [ -z "$d" ] || [ "$d" = "$1" ] || mkdir -p -- "$d"; cat > "$1"';
    const result = await this.commands.run(["/bin/sh", "-c", script, "sh", path], { ...options, stdin: content });
    if (result.exitCode !== 0) throw new Failure("WRONG_STATE", `cannot write ${JSON.stringify(path)}: ${lastLine(result.stderr)}`);
  }
}

function readFailure(path: string, stderr: string): Failure {
  const missing = /no such file|not found/i.test(stderr);
  return missing
    ? new Failure("NOT_FOUND", `there is no file ${JSON.stringify(path)} in the sandbox`)
    : new Failure("WRONG_STATE", `cannot read ${JSON.stringify(path)}: ${lastLine(stderr)}`);
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
