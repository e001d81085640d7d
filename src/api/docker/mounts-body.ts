/** Mounts: `-v`, `--mount`, `--tmpfs` and the anonymous volumes of `Config.Volumes` are one list for the engine. */

import { Failure, quote } from "../../contract/failure.ts";
import type { MountRequest } from "../../engine/index.ts";
import type { CreateBody, HostConfigBody, MountBody } from "./create-shape.ts";
import { compact } from "./echo.ts";
import { present } from "./present.ts";
import { readSize } from "./sizes.ts";

const PROPAGATIONS = ["private", "rprivate", "slave", "rslave", "shared", "rshared"] as const;
type Propagation = (typeof PROPAGATIONS)[number];

/** Rejects INVALID_SPEC, also for two mounts on one target. */
export function readMounts(body: CreateBody, host: HostConfigBody): readonly MountRequest[] {
  const mounts = [
    ...(host.Binds ?? []).map(readBind),
    ...(host.Mounts ?? []).map(readMount),
    ...Object.entries(host.Tmpfs ?? {}).map(([target, options]) => readTmpfs(target, options)),
  ];
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw invalid(`Duplicate mount point: ${target}`);
    targets.add(target);
  }
  for (const target of Object.keys(body.Volumes ?? {})) {
    const path = readTarget(target);
    if (!targets.has(path)) mounts.push({ kind: "volume", name: "", target: path, readOnly: false, copyUp: true });
  }
  return mounts;
}

/** `source:target[:options]`; a source without a leading slash is a volume's name. */
function readBind(text: string): MountRequest {
  const parts = text.split(":");
  if (parts.length === 1) return { kind: "volume", name: "", target: readTarget(text), readOnly: false, copyUp: true };
  const [source = "", destination = "", modes = ""] = parts;
  if (parts.length > 3 || source === "" || destination === "") throw invalid(`invalid volume specification: ${quote(text)}`);
  const target = readTarget(destination);
  const options = modes === "" ? [] : modes.split(",");
  const isBind = source.startsWith("/");
  let readOnly = false;
  let copyUp = true;
  let propagation: Propagation | undefined;
  for (const option of options) {
    const known = PROPAGATIONS.find((name) => name === option);
    if (option === "ro" || option === "rw") readOnly = option === "ro";
    else if (option === "nocopy" && !isBind) copyUp = false;
    else if (known !== undefined && isBind) propagation = known;
    // SELinux labels and macOS's consistency: nothing to do on the hosts that we run on, as in Docker where SELinux is off.
    else if (!["z", "Z", "consistent", "cached", "delegated"].includes(option)) throw invalid(`invalid mode: ${quote(option)} in ${quote(text)}`);
  }
  if (isBind) return { kind: "bind", source, target, readOnly, createSource: true, ...present({ propagation }) };
  return { kind: "volume", name: readVolumeName(source), target, readOnly, copyUp };
}

function readMount(mount: MountBody): MountRequest {
  const target = readTarget(mount.Target ?? "");
  const readOnly = mount.ReadOnly ?? false;
  const source = mount.Source ?? "";
  refuseStrangeParts(mount);
  switch (mount.Type ?? "") {
    case "bind": {
      if (!source.startsWith("/")) throw invalid(`invalid mount config for type "bind": invalid mount path: ${quote(source)} mount path must be absolute`);
      for (const name of ["NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"] as const)
        if (mount.BindOptions?.[name])
          throw unsupported(`BindOptions.${name} of the mount at ${quote(target)} is not carried out`, "Leave bind-recursive and bind-nonrecursive out.");
      const wanted = mount.BindOptions?.Propagation || undefined;
      const propagation = PROPAGATIONS.find((name) => name === wanted);
      if (wanted !== undefined && propagation === undefined) throw invalid(`invalid propagation mode: ${quote(wanted)}`);
      return { kind: "bind", source, target, readOnly, createSource: mount.BindOptions?.CreateMountpoint ?? false, ...present({ propagation }) };
    }
    case "volume": {
      const driver = mount.VolumeOptions?.DriverConfig?.Name;
      if (driver && driver !== "local")
        throw new Failure("UNSUPPORTED", `volume driver ${quote(driver)} is not available`, { remedy: "Use the driver local." });
      if (Object.keys(mount.VolumeOptions?.DriverConfig?.Options ?? {}).length > 0)
        throw unsupported("options of a volume's driver (volume-opt) are not carried out", "Leave them out, or bind a directory that you mounted yourself.");
      if (mount.VolumeOptions?.Subpath) throw unsupported("a path below a volume (volume-subpath) cannot be mounted", "Mount the whole volume.");
      return {
        kind: "volume",
        name: source === "" ? "" : readVolumeName(source),
        target,
        readOnly,
        copyUp: !(mount.VolumeOptions?.NoCopy ?? false),
        ...present({ labels: mount.VolumeOptions?.Labels ?? undefined }),
      };
    }
    case "tmpfs":
      return {
        kind: "tmpfs",
        target,
        readOnly,
        ...present({ sizeBytes: mount.TmpfsOptions?.SizeBytes || undefined, mode: mount.TmpfsOptions?.Mode || undefined }),
        options: (mount.TmpfsOptions?.Options ?? []).map((pair) => checkedTmpfsOption(pair.join("="))),
      };
    default:
      throw new Failure("UNSUPPORTED", `mount type ${quote(mount.Type ?? "")} is not available`, { remedy: "Use bind, volume or tmpfs." });
  }
}

/** `--tmpfs /run:rw,size=64k,mode=1777`. */
function readTmpfs(target: string, text: string): MountRequest {
  const rest: string[] = [];
  let readOnly = false;
  let sizeBytes: number | undefined;
  let mode: number | undefined;
  for (const option of text === "" ? [] : text.split(",")) {
    const [name = "", value = ""] = option.split("=");
    if (name === "ro" || name === "rw") readOnly = name === "ro";
    else if (name === "size" && value !== "" && !value.endsWith("%")) sizeBytes = readSize(value, "tmpfs size");
    else if (name === "mode" && /^[0-7]{1,5}$/.test(value)) mode = Number.parseInt(value, 8);
    else rest.push(checkedTmpfsOption(option));
  }
  return { kind: "tmpfs", target: readTarget(target), readOnly, ...present({ sizeBytes, mode }), options: rest };
}

/** An option of tmpfs(5) as it is handed on. */
function checkedTmpfsOption(option: string): string {
  if (/^(exec|noexec|suid|nosuid|dev|nodev|(uid|gid)=\d{1,9}|nr_inodes=\d{1,12}[kKmMgG]?|size=\d{1,3}%)$/.test(option)) return option;
  throw invalid(`invalid tmpfs option ${quote(option)}`);
}

const OPTIONS_OF = { bind: "BindOptions", volume: "VolumeOptions", tmpfs: "TmpfsOptions" } as const;

/** Options of another type of mount would be forgotten in silence: refused, in Docker's words. */
function refuseStrangeParts(mount: MountBody): void {
  for (const [type, part] of Object.entries(OPTIONS_OF)) {
    const says = mount[part] !== undefined && mount[part] !== null && Object.keys(compact(mount[part])).length > 0;
    if (mount.Type !== type && says) throw strange(mount, part);
  }
  if (mount.Type === "tmpfs" && mount.Source) throw strange(mount, "Source");
  const { SizeBytes, Mode } = mount.TmpfsOptions ?? {};
  if ((SizeBytes ?? 0) < 0 || (Mode ?? 0) < 0 || (Mode ?? 0) > 0o7777) throw invalid(`invalid size or mode of the tmpfs at ${quote(mount.Target ?? "")}`);
}

function strange(mount: MountBody, part: string): Failure {
  return invalid(`invalid mount config for type ${quote(mount.Type ?? "")}: field ${part} must not be specified`);
}

function unsupported(what: string, remedy: string): Failure {
  return new Failure("UNSUPPORTED", what, { remedy });
}

/** Absolute, without `.`, `..`, doubled or trailing slashes; never the root. */
function readTarget(path: string): string {
  if (!path.startsWith("/")) throw invalid(`invalid mount path: ${quote(path)} mount path must be absolute`);
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") kept.pop();
    else if (part !== "" && part !== ".") kept.push(part);
  }
  if (kept.length === 0) throw invalid("invalid volume specification: destination can't be '/'");
  return `/${kept.join("/")}`;
}

const VOLUME_REMEDY = "A volume's name has 2 to 255 of these characters; a directory of the host is named by its whole path, from /.";

function readVolumeName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/.test(name)) return name;
  throw invalid(`${quote(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`, VOLUME_REMEDY);
}

function invalid(what: string, remedy?: string): Failure {
  return new Failure("INVALID_SPEC", what, remedy === undefined ? {} : { remedy });
}
