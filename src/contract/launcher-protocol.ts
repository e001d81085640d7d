/**
 * Daemon ↔ launcher. One unix stream socket (mode 0600, the daemon's uid only), frames of `frame.ts`, kind `message` alone.
 *
 *     request   {"id": 7, "verb": "launch", ...arguments}
 *     progress  {"id": 7, "progress": {...}}            any number, before the answer
 *     answer    {"id": 7, "ok": {...}}  or  {"id": 7, "failure": FailureDocument}
 *
 * Requests on one connection are answered in any order. Closing the connection cancels nothing that has been begun,
 * except `unpack`, which stops and removes what it made. The list of verbs is closed; everything that needs
 * privilege is one of them. Paths must lie below the root that the launcher was started for, unless said otherwise; the
 * launcher checks that itself, component by component.
 */

import type { FailureDocument } from "./failure.ts";
import type { LaunchPlan } from "./launch-plan.ts";
import type { Greeting } from "./protocol-version.ts";

export interface LauncherVerbs {
  hello: { ask: Greeting; ok: LauncherHello };

  /**
   * Forks a supervisor, which carries out the plan. One supervisor stands for a workload: while a launch of it is under way another is
   * ALREADY_EXISTS at once, while an earlier supervisor still ends it waits five seconds. What a plan may name outside the root is closed
   * (DENIED_BY_POLICY): programs where distributions install them, the system's own files for a machine to read, shares of anything but
   * the root's own; the launcher's `--allow PATH` adds to it.
   * Answers once the boundary is raised and its main process held, or has failed and left nothing.
   * `progress` is `{phase}`.
   */
  launch: { ask: { plan: LaunchPlan }; ok: { supervisorPid: number; mainPid: number | null } };

  /** Ends whatever stands of this workload (by cgroup, never by a remembered pid), unmounts, removes its cgroups and its directory. Idempotent. */
  remove: { ask: { workload: string; directory: string; keepDirectory: boolean }; ok: Record<never, never> };

  /** Removes every cgroup, namespace, mount and tap that carries this root's identity and belongs to none of the workloads named. What will not go is named and keeps nothing else. */
  sweep: { ask: { keep: readonly string[] }; ok: { removed: readonly string[]; stuck?: readonly { name: string; failure: FailureDocument }[] } };

  /** Who is at the other end of a socket that the asking daemon holds as descriptor `fd` (by pidfd_getfd, SO_PEERCRED, SO_PEERGROUPS). */
  peer: { ask: { fd: number }; ok: { pid: number; uid: number; gid: number; groups: readonly number[] } };

  /**
   * Unpacks one layer in a confined child into `directory`, which must not exist; it appears under that name only when whole.
   * Whole is said of processes that die: a host that dies may leave less, until `syncLayers` was answered.
   * The archive is `blob` (tar; plain, gzip or zstd, found out by its first bytes), read through while its uncompressed sha256 is
   * computed; another than `diffId` (when given) is CORRUPT_DATA. It may still be written, up to `blobBytes`: its end is waited for until its name is
   * taken away. Whiteouts become overlayfs's. `progress` is `{bytes}` of the blob read.
   * `lowers` are the trees of the layers below, uppermost first: asked for hard links' targets and parents' attributes that the archive leaves
   * out. Where that happened, `leansOnLowers` says that the tree may be shared only over the same lowers; `askedLowers` that it would have taken something, had
   * there been lowers. EXHAUSTED where the layer has more
   * than `maxBytes` or `maxEntries`, or would leave less than `reserveBytes` of the disk free.
   */
  unpack: {
    ask: {
      blob: string;
      blobBytes?: number;
      directory: string;
      lowers: readonly string[];
      diffId?: string;
      maxBytes: number;
      maxEntries: number;
      reserveBytes: number;
    };
    ok: { diffId: string; bytes: number; entries: number; leansOnLowers: boolean; askedLowers?: boolean };
  };

  /** Answers when everything on the filesystem that holds this directory is on the disk. Its failure means that something of it may be lost. */
  syncLayers: { ask: { directory: string }; ok: Record<never, never> };

  /** An unpacked layer as an erofs image at `file` (whiteouts and opaque directories kept). Appears only when whole. */
  layerImage: { ask: { directory: string; file: string }; ok: { bytes: number } };

  /**
   * Checks a disk image that came from outside, and makes of it the raw disk beneath machines: `file`, which appears only when whole. `made` is
   * false for a raw image, which is that disk already. A qcow2 is taken apart in a confined child; one that names another file of the host
   * (a backing file, a data file), and every other format, is UNSUPPORTED with that name. EXHAUSTED above `maxBytes`, or where less than
   * `reserveBytes` of the disk would stay free.
   */
  diskImage: {
    ask: { blob: string; file: string; format: "raw" | "qcow2"; maxBytes: number; reserveBytes: number };
    ok: { bytes: number; made: boolean };
  };

  /**
   * Checks and compiles a wasm module or component in a confined child, for the runner of this release; `file` appears only when whole.
   * COMMAND_NOT_EXECUTABLE says what is wrong with the module.
   */
  compileModule: { ask: { module: string; file: string }; ok: { bytes: number } };

  /**
   * Makes the bridge, its address, forwarding, NAT and filter rules, or finds them as they should be. `metadata`: whether its members reach clouds'
   * metadata services; left out, they do not.
   */
  bridgeEnsure: {
    ask: { bridge: string; address: string; prefixLength: number; mtu: number; masquerade: boolean; metadata?: boolean };
    ok: Record<never, never>;
  };
  bridgeRemove: { ask: { bridge: string }; ok: Record<never, never> };

  /** Makes or removes a directory for a volume below the root. */
  volumeCreate: { ask: { directory: string }; ok: Record<never, never> };
  volumeRemove: { ask: { directory: string }; ok: Record<never, never> };

  /**
   * Copies into an empty volume what the image has at `path`, in a confined child: `lowers` are the trees of its layers, uppermost first, and
   * are read as overlayfs would show them; owners, modes, times, extended attributes and hard links are kept. False where the volume holds
   * something already or the image has no directory there. After a crash it is repeated: a volume is never left half filled.
   */
  volumeFill: { ask: { directory: string; lowers: readonly string[]; path: string }; ok: { filled: boolean } };

  /** What each of these directories takes on disk, holes not counted; 0 for one that is not there. */
  diskUse: { ask: { directories: readonly string[] }; ok: { bytes: readonly number[] } };

  /**
   * Tries one mechanism on this host and says what happened. `what` is one of PROBES. Changes nothing that outlives the answer.
   */
  probe: { ask: { what: (typeof PROBES)[number] }; ok: { works: boolean; detail: string } };

  /**
   * Loads the launcher's default AppArmor profile for containers into the kernel, in the place of one that another release loaded, and
   * names it; null where the kernel does not enforce AppArmor. UNAVAILABLE where it does and the profile cannot be loaded. Stays until reboot.
   */
  appArmor: { ask: Record<never, never>; ok: { profile: string | null } };

  /** Runs a program of the closed table PROGRAMS without privilege and with a deadline, and returns what it printed (cut at 64 KiB). For probes. */
  run: { ask: { program: (typeof PROGRAMS)[number]; arguments: readonly string[]; deadlineMs: number }; ok: { code: number; stdout: string; stderr: string } };

  /**
   * Takes away everything that carries this root's identity: workloads as `sweep` does, bridges, the firewall's table and rules, control
   * groups, supervisors' sockets. Files below the root stay. Then the launcher ends as by `shutdown`.
   */
  teardown: { ask: Record<never, never>; ok: { removed: readonly string[]; bridges: readonly string[] } };

  /** Ends the launcher once its running requests are answered. Workloads go on. */
  shutdown: { ask: Record<never, never>; ok: Record<never, never> };
}

export const PROBES = [
  "namespaces",
  "user-namespaces",
  "overlay",
  "idmapped-mounts",
  "cgroup",
  "memory-limit",
  "bridge",
  "nftables",
  "tun",
  "orphans",
  "loop-free-erofs",
] as const;
export const PROGRAMS = ["bulkhead-wasm", "crun", "runc", "runsc", "qemu-system-x86_64", "qemu-system-aarch64", "mkfs.erofs", "nft"] as const;

export interface LauncherHello {
  /** The version that both ends speak from now on: `protocol-version.ts`. */
  version: number;
  pid: number;
  /** Six hexadecimal digits: the identity of the root, part of every name on the host. */
  rootId: string;
  cgroup: "v1" | "v2";
}

export type LauncherVerb = keyof LauncherVerbs;
export type LauncherAsk<V extends LauncherVerb> = LauncherVerbs[V]["ask"];
export type LauncherOk<V extends LauncherVerb> = LauncherVerbs[V]["ok"];
