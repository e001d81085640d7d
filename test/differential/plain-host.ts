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
  private count = 0;

  private constructor(work: string) {
    this.work = work;
    this.pristine = join(work, "pristine");
  }

  /** `archive` is a tar of the root filesystem. */
  static open(archive: string): PlainHostRoot {
    const root = new PlainHostRoot(mkdtempSync(join(tmpdir(), "bulkhead-plain-")));
    mkdirSync(root.pristine);
    execFileSync("tar", ["-xf", archive, "-C", root.pristine]);
    return root;
  }

  async run(one: DifferentialCase): Promise<CommandOutcome> {
    const directory = join(this.work, String(this.count++));
    cpSync(this.pristine, directory, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    for (const needed of ["proc", "dev", "tmp"]) mkdirSync(join(directory, needed), { recursive: true });
    const user = one.user === "nobody" ? "65534:65534" : (one.user ?? "0:0");
    const pair = user.includes(":") ? user : `${user}:0`;
    const shell = ["env", "-i", PATH, ...(one.environment ?? []), "/bin/sh", "-c", `cd ${one.workingDirectory ?? "/"} && ${one.script}`];
    const enter = pair === "0:0" ? ["sh", "-c", ENTER_AS_ROOT, "sh", directory, ...shell] : ["sh", "-c", ENTER_AS_USER, "sh", directory, pair, ...shell];
    try {
      return await run("unshare", ["--mount", "--propagation", "private", ...enter], {}, { input: one.input ?? "" });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  close(): void {
    rmSync(this.work, { recursive: true, force: true });
  }
}

const PREPARE = 'mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/dev/shm"';
const ENTER_AS_ROOT = `root=$1; shift; ${PREPARE} && exec chroot "$root" "$@"`;
const ENTER_AS_USER = `root=$1; user=$2; shift 2; ${PREPARE} && exec chroot --userspec="$user" --groups= "$root" "$@"`;
