/** What the bundles of OCI runtimes hold alike, where their files lie, and what is made of them. */

import type { Bundle } from "../../contract/driver.ts";
import { Failure } from "../../contract/failure.ts";
import { OWN_ID_COUNT } from "../../contract/host-ids.ts";
import type { LaunchPlan, OciEngine } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { composePlanFrame, type HeldBundle } from "../../host/held-bundle.ts";
import { copyProgram, ensureDirectory, isDirectory, isThere, writeInPlace } from "../../host/workload-files.ts";
import type { OciConfig } from "./oci-config.ts";

export interface OciBundle extends HeldBundle {
  readonly runtime: OciEngine["runtime"];
  /** Root inside is nobody outside. Absent in bundles of the first release: the host's ids. */
  readonly ownIds?: boolean;
  /** Sources of binds that are no directories. */
  readonly fileSources: readonly string[];
  /** A static init program on the host, where the spec asks for one. */
  readonly init?: string;
}

/** Places below the workload's directory. */
export function placesOf(directory: string) {
  return {
    bundle: `${directory}/bundle`,
    config: `${directory}/bundle/config.json`,
    rootfs: `${directory}/bundle/rootfs`,
    written: `${directory}/written`,
    upper: `${directory}/written/upper`,
    work: `${directory}/written/work`,
    /** Instead of these two, where what is written is limited in size. */
    disk: `${directory}/disk`,
    hosts: `${directory}/hosts`,
    hostname: `${directory}/hostname`,
    resolvConf: `${directory}/resolv.conf`,
    exitRecord: `${directory}/exit.json`,
    startMark: `${directory}/start-asked`,
    /** A copy for this workload alone: where ours lies may map no owners, and another release may lie there tomorrow. */
    initCopy: `${directory}/init`,
  } as const;
}

export function findFileSources({ mounts }: SandboxSpec): string[] {
  return mounts.flatMap((mount) => (mount.kind === "bind" && !isDirectory(mount.source) ? [mount.source] : []));
}

/** The directories of the bundle and of what the workload writes, the files of its names, and its init where it has one. */
export function writeFiles(spec: SandboxSpec, directory: string, init: string | undefined): void {
  const places = placesOf(directory);
  ensureDirectory(directory, 0o711);
  ensureDirectory(places.rootfs, 0o755);
  // What a workload writes may be set-uid: nobody of the host passes through here to it.
  ensureDirectory(places.written, 0o700);
  // Its attributes become those of the workload's own /.
  ensureDirectory(places.upper, 0o755);
  ensureDirectory(places.work, 0o700);
  writeInPlace(places.hosts, spec.hosts);
  writeInPlace(places.hostname, `${spec.hostname}\n`);
  writeInPlace(places.resolvConf, spec.resolvConf);
  if (init !== undefined) copyProgram(init, places.initCopy);
}

/** An image may know more ids than a range has: whoever is one of those is nobody in it. */
export function checkIds({ ownIds, identity }: OciBundle, { process: { user } }: OciConfig, workload: string): void {
  const beyond = [user.uid, user.gid, ...user.additionalGids].find((id) => id >= OWN_ID_COUNT);
  if (ownIds !== true || beyond === undefined) return;
  throw new Failure("INVALID_SPEC", `The user or group ${beyond} is beyond the ${OWN_ID_COUNT} that the workload has of its own`, {
    workload,
    boundary: identity.kind,
    remedy: "Run it with --userns=host, or as another user",
  });
}

const LEAST_DISK_BYTES = 4 * 1024 * 1024;
/** Of blocks of 4 KiB with numbers of 32 bits. */
const MOST_DISK_BYTES = 16 * 1024 ** 4 - 4096;
const BLOCK_BYTES = 4096;
const LOOP_DEVICES = "/dev/loop-control";

/** What can be said at create of a limit on what is written. */
export function checkDisk({ limits: { diskBytes }, workload }: SandboxSpec, boundary: string): void {
  if (diskBytes === undefined) return;
  if (diskBytes < LEAST_DISK_BYTES) {
    const remedy = "Ask for more with --storage-opt size=…, or leave the limit out";
    throw new Failure("INVALID_SPEC", `A writable layer cannot be smaller than ${LEAST_DISK_BYTES} bytes`, { workload, boundary, remedy });
  }
  if (diskBytes > MOST_DISK_BYTES) {
    const remedy = "Ask for less than 16 TiB with --storage-opt size=…, or leave the limit out";
    throw new Failure("INVALID_SPEC", "A writable layer cannot be larger than 16 TiB", { workload, boundary, remedy });
  }
  if (isThere(LOOP_DEVICES)) return;
  throw new Failure("UNSUPPORTED", "The writable layer cannot be limited in size: this host has no loop devices", {
    workload,
    boundary,
    remedy: "modprobe loop, leave the limit out, or take the boundary microvm, whose disk has it",
  });
}

function wholeBlocks(bytes: number): number {
  return Math.floor(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** `lower`: the image's layers. `engine` is what the boundary adds. */
export function composeOciPlan(
  bundle: Bundle,
  held: OciBundle,
  main: ProcessSpec,
  engine: { readonly lower: readonly string[] } & Pick<OciEngine, "execProcess" | "seccompKey">,
): LaunchPlan {
  const places = placesOf(bundle.directory);
  const { lower, ...rest } = engine;
  return {
    ...composePlanFrame(bundle, held, places.exitRecord, main),
    version: held.spec.limits.diskBytes !== undefined ? 3 : held.ownIds === true ? 2 : 1,
    engine: {
      kind: "oci",
      runtime: held.runtime,
      bundle: places.bundle,
      root: { lower, upper: places.upper, work: places.work, readOnly: held.spec.security.readOnlyRoot },
      ...(held.ownIds === true ? { ownIds: true } : {}),
      ...(held.spec.limits.diskBytes === undefined ? {} : { disk: { path: places.disk, bytes: wholeBlocks(held.spec.limits.diskBytes) } }),
      ...rest,
    },
  };
}
