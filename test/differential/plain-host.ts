/** The control: the image's files on the plain host, by chroot in a mount namespace of its own, with no boundary at all. */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandOutcome } from "../harness/daemon.ts";
import { run } from "../harness/daemon.ts";
import type { DifferentialCase } from "./cases.ts";

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export class PlainHostRoot {
  private readonly pristine: string;
  private readonly work: string;
  private readonly shared: boolean;
  private count = 0;

  private constructor(work: string, shared: boolean) {
    this.work = work;
    this.shared = shared;
    this.pristine = join(work, "pristine");
  }

  /**
   * `archives` are tars of the root filesystem's layers, lowest first. `shared`: the cases write in /tmp alone, which each has for itself; else
   * each gets a copy of everything.
   */
  static open(archives: readonly string[], { shared = false } = {}): PlainHostRoot {
    const root = new PlainHostRoot(mkdtempSync(join(tmpdir(), "bulkhead-plain-")), shared);
    mkdirSync(root.pristine);
    for (const archive of archives) execFileSync("tar", ["--numeric-owner", "-xpf", archive, "-C", root.pristine]);
    return root;
  }

  async run(one: DifferentialCase): Promise<CommandOutcome> {
    const directory = this.shared ? this.pristine : join(this.work, String(this.count++));
    if (!this.shared) cpSync(this.pristine, directory, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    for (const needed of ["proc", "dev", "tmp"]) mkdirSync(join(directory, needed), { recursive: true });
    const user = one.user === "nobody" ? "65534:65534" : (one.user ?? "0:0");
    const pair = user.includes(":") ? user : `${user}:0`;
    const shell = ["env", "-i", PATH, ...(one.environment ?? []), "/bin/sh", "-c", `cd ${one.workingDirectory ?? "/"} && ${one.script}`];
    const enter = pair === "0:0" ? ["sh", "-c", ENTER_AS_ROOT, "sh", directory, ...shell] : ["sh", "-c", ENTER_AS_USER, "sh", directory, pair, ...shell];
    try {
      return await run("unshare", ["--mount", "--propagation", "private", ...enter], { OWN_TMP: this.shared ? "yes" : "" }, { input: one.input ?? "" });
    } finally {
      if (!this.shared) rmSync(directory, { recursive: true, force: true });
    }
  }

  close(): void {
    rmSync(this.work, { recursive: true, force: true });
  }
}

const PREPARE =
  'mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/dev/shm" && { test -z "$OWN_TMP" || mount -t tmpfs tmpfs "$root/tmp"; }';
const ENTER_AS_ROOT = `root=$1; shift; ${PREPARE} && exec chroot "$root" "$@"`;
const ENTER_AS_USER = `root=$1; user=$2; shift 2; ${PREPARE} && exec chroot --userspec="$user" --groups= "$root" "$@"`;
