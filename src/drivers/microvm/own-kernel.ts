/** What doctor says where machines boot the distribution's kernel: why it is not our own small one, and how to get that. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../contract/driver.ts";
import { type GuestKernel, type KernelPlaces, prepareCommand } from "./kernels.ts";

/** Left in the cache by `scripts/kernel/build.sh`: why it could not build, and, on a second line, the command that mends it, if one does. */
const NOT_BUILT = "not-built";
/** `scripts/builds.sh` writes down each build that goes on in the background: when its process began, and for which checkout. */
const BUILD_RECORD = /^\.build-(\d+)$/;

/** Undefined where machines boot our own or the operator's. */
export function judgeOwnKernel({ vmlinux, needsAcpi }: GuestKernel, places: KernelPlaces): Finding | undefined {
  if (places.kernel !== undefined || !needsAcpi) return undefined;
  const id = "guest-kernel-own";
  const what = `Machines boot the distribution's kernel (${vmlinux}), which takes longer to start than our own small one`;
  if (isBeingBuilt(places.cache)) return { id, level: "note", what: `${what}; ours is being built now, and they boot it once it is there` };
  const notBuilt = readText(join(places.cache, NOT_BUILT));
  if (notBuilt === undefined) return { id, level: "note", what, remedy: prepareCommand() };
  const [why = "", mend = "", impossible = ""] = notBuilt.split("\n").map((line) => line.slice(0, 400));
  const told = { id, level: "note", what: `${what}: ${why}` } as const;
  if (impossible !== "") return told;
  return { ...told, remedy: mend === "" ? prepareCommand() : `${mend} && ${prepareCommand()}` };
}

function isBeingBuilt(cache: string): boolean {
  const pids = readdirSync(cache).flatMap((name) => BUILD_RECORD.exec(name)?.[1] ?? []);
  return pids.some((pid) => {
    const began = readText(join(cache, `.build-${pid}`))?.split("\n", 1)[0];
    // Behind the program's name, which may hold anything: field 22 is the twentieth.
    const stat = readText(`/proc/${pid}/stat`);
    return stat !== undefined && stat.slice(stat.lastIndexOf(") ") + 2).split(" ")[19] === began;
  });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
