/** A temporary place for tests of the shell scripts: programs that stand in for the system's, first on PATH, and what they were asked. */

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";

export const CHECKOUT = resolve(import.meta.dirname, "../..");

export interface ShellOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the scripts stand on, without compilers, clients and package tools. */
const LEAST = "sh awk sed cut cat rm mkdir dirname ls sha256sum grep head tail tr flock mktemp chmod cp mv date sleep setsid nice id uname".split(" ");
const SYSTEM = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

export class ShellPlace {
  #system = SYSTEM;
  readonly directory = mkdtempSync(join(tmpdir(), "bulkhead-scripts-"));

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  write(name: string, text: string): string {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** `body` is POSIX sh. Each call is a line of `calls` first: the program's name and its arguments. */
  fake(program: string, body = ""): void {
    const path = this.write(`bin/${program}`, `#!/bin/sh\nprintf '%s\\n' "${program} $*" >>'${this.path("calls")}'\n${body}\n`);
    chmodSync(path, 0o755);
  }

  /** From now on nothing else of the machine on which the tests run is on PATH. */
  isolate(): void {
    const least = this.path("least");
    mkdirSync(least);
    for (const name of LEAST) {
      const found = SYSTEM.map((folder) => join(folder, name)).find((path) => existsSync(path));
      if (found !== undefined) symlinkSync(found, join(least, name));
    }
    this.#system = [least];
  }

  get calls(): readonly string[] {
    return existsSync(this.path("calls")) ? readFileSync(this.path("calls"), "utf8").trimEnd().split("\n") : [];
  }

  /** Below the checkout, under `set -eu` as the scripts run, with the stand-ins before `system`. */
  run(script: string, options: { readonly in?: string } = {}): ShellOutcome {
    const path = [this.path("bin"), ...this.#system].join(delimiter);
    const env = { PATH: path, HOME: this.directory, TMPDIR: this.directory, LC_ALL: "C", NO_COLOR: "1" };
    const { status, stdout, stderr } = spawnSync("/bin/sh", ["-euc", script], { cwd: options.in ?? CHECKOUT, env, encoding: "utf8", timeout: 60_000 });
    return { code: status, stdout, stderr };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
