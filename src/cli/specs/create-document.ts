/** From the options of `run` and `create` to the document that asks for the workload. Pure but for the files that options name. */

import type { CreateDocument, HostConfig } from "../../../sdk/src/index.ts";
import { UsageError } from "../command.ts";
import type { Flags } from "../flags.ts";
import { parseBytes } from "../format/quantity.ts";
import { parsePairs, parseVariables, readText, readVariableFile } from "./environment.ts";
import { parseCpus, parseDevice, parseHealth, parseLog, parseRestart, parseUlimit } from "./limits.ts";
import { parseExposed, parsePublication } from "./port.ts";
import { parseMount, parseTmpfs, parseVolume } from "./volume.ts";

/** Which streams the client joins; false of all three is detached. */
export interface Joined {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** `needs` are labels that say what the workload needs of its boundary: they leave the choice to advice, unless a boundary was named. */
export function createDocument(flags: Flags, args: readonly string[], joined: Joined, needs: Readonly<Record<string, string>> = {}): CreateDocument {
  const [image = "", ...command] = args;
  if (flags.on("rm") && flags.given("restart") && parseRestart(flags.text("restart") ?? "").Name !== "no")
    throw new UsageError("--rm and --restart cannot both be given");
  const publications = flags.list("publish").flatMap(parsePublication);
  const exposed = [...publications.map(({ port }) => port), ...flags.list("expose").flatMap(parseExposed)];
  const volumes = flags.list("volume").map(parseVolume);
  const entrypoint = flags.text("entrypoint");
  const health = parseHealth(flags);
  const tmpfs = Object.fromEntries(flags.list("tmpfs").map(parseTmpfs));
  const labels = { ...fileLabels(flags), ...parsePairs(flags.list("label"), "--label"), ...needs };
  const anonymous = volumes.flatMap((volume) => ("anonymous" in volume ? [volume.anonymous] : []));
  return present({
    Image: image,
    Cmd: command.length > 0 ? command : undefined,
    Entrypoint: entrypoint === undefined ? undefined : entrypoint === "" ? [""] : [entrypoint],
    Env: [...flags.list("env-file").flatMap((path) => readVariableFile(path, process.env)), ...parseVariables(flags.list("env"), process.env)],
    WorkingDir: flags.text("workdir"),
    User: flags.text("user"),
    Hostname: flags.text("hostname"),
    Domainname: flags.text("domainname"),
    Labels: labels,
    ExposedPorts: exposed.length > 0 ? Object.fromEntries(exposed.map((port) => [port, {}])) : undefined,
    Volumes: anonymous.length > 0 ? Object.fromEntries(anonymous.map((path) => [path, {}])) : undefined,
    Tty: flags.on("tty"),
    OpenStdin: flags.on("interactive"),
    StdinOnce: flags.on("interactive") && joined.stdin,
    AttachStdin: joined.stdin,
    AttachStdout: joined.stdout,
    AttachStderr: joined.stderr,
    StopSignal: flags.text("stop-signal"),
    StopTimeout: flags.number("stop-timeout"),
    Healthcheck: health,
    HostConfig: hostConfig(flags, {
      Binds: volumes.flatMap((volume) => ("bind" in volume ? [volume.bind] : [])),
      Tmpfs: tmpfs,
      PortBindings: bindings(publications),
    }),
  });
}

function hostConfig(flags: Flags, parsed: Pick<HostConfig, "Binds" | "Tmpfs" | "PortBindings">): HostConfig {
  const needs = flags.given("trust") || flags.given("requirements");
  const isolation = flags.text("isolation") ?? (needs && !flags.given("runtime") ? "auto" : undefined);
  const bytes = (name: string): number | undefined => (flags.given(name) ? parseBytes(flags.text(name) ?? "", `--${name}`) : undefined);
  const cpus = flags.text("cpus");
  const swap = flags.text("memory-swap");
  return present({
    ...filled(parsed),
    AutoRemove: flags.on("rm") || undefined,
    Mounts: some(flags.list("mount").map(parseMount)),
    NetworkMode: flags.text("network"),
    PublishAllPorts: flags.on("publish-all") || undefined,
    Memory: bytes("memory"),
    MemorySwap: swap === "-1" ? -1 : bytes("memory-swap"),
    MemoryReservation: bytes("memory-reservation"),
    NanoCpus: cpus === undefined ? undefined : parseCpus(cpus),
    CpuPeriod: flags.number("cpu-period"),
    CpuQuota: flags.number("cpu-quota"),
    CpuShares: flags.number("cpu-shares"),
    CpusetCpus: flags.text("cpuset-cpus"),
    PidsLimit: flags.number("pids-limit"),
    OomScoreAdj: flags.number("oom-score-adj"),
    ReadonlyRootfs: flags.on("read-only") || undefined,
    CapAdd: some(flags.list("cap-add")),
    CapDrop: some(flags.list("cap-drop")),
    SecurityOpt: some(flags.list("security-opt").map(securityOption)),
    GroupAdd: some(flags.list("group-add")),
    Privileged: flags.on("privileged") || undefined,
    Init: flags.given("init") ? flags.on("init") : undefined,
    RestartPolicy: flags.given("restart") ? parseRestart(flags.text("restart") ?? "") : undefined,
    Ulimits: some(flags.list("ulimit").map(parseUlimit)),
    Sysctls: pairs(flags, "sysctl"),
    Annotations: pairs(flags, "annotation"),
    StorageOpt: pairs(flags, "storage-opt"),
    ShmSize: bytes("shm-size"),
    Devices: some(flags.list("device").map(parseDevice)),
    Dns: some(flags.list("dns")),
    DnsSearch: some(flags.list("dns-search")),
    DnsOptions: some(flags.list("dns-option")),
    ExtraHosts: some(flags.list("add-host").map(extraHost)),
    LogConfig: parseLog(flags.text("log-driver"), parsePairs(flags.list("log-opt"), "--log-opt")),
    PidMode: flags.text("pid"),
    IpcMode: flags.text("ipc"),
    UTSMode: flags.text("uts"),
    UsernsMode: flags.text("userns"),
    CgroupnsMode: flags.text("cgroupns"),
    Isolation: isolation,
    Cold: flags.on("cold") || undefined,
    Runtime: flags.text("runtime"),
  });
}

/** `seccomp=FILE` carries the file's text, as Docker's client sends it. */
function securityOption(text: string): string {
  const match = /^seccomp[=:](.+)$/.exec(text);
  const file = match?.[1];
  if (file === undefined || file === "unconfined" || file === "builtin") return text;
  const profile = readText(file, "--security-opt seccomp");
  try {
    return `seccomp=${JSON.stringify(JSON.parse(profile))}`;
  } catch {
    throw new UsageError(`--security-opt seccomp: ${JSON.stringify(file)} is not JSON`);
  }
}

function extraHost(text: string): string {
  const match = /^([^:=]+)[:=](.+)$/.exec(text);
  if (match === null) throw new UsageError(`--add-host takes name:address, not ${JSON.stringify(text)}`);
  return `${match[1]}:${(match[2] ?? "").replace(/^\[|\]$/g, "")}`;
}

function fileLabels(flags: Flags): Record<string, string> {
  const lines = flags.list("label-file").flatMap((path) => readText(path, "--label-file").split("\n"));
  return parsePairs(
    lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#")),
    "--label-file",
  );
}

function bindings(publications: ReturnType<typeof parsePublication>): NonNullable<HostConfig["PortBindings"]> {
  const byPort: Record<string, { HostIp?: string; HostPort?: string }[]> = {};
  for (const { port, binding } of publications) (byPort[port] ??= []).push(binding);
  return byPort;
}

function pairs(flags: Flags, name: string): Record<string, string> | undefined {
  return flags.given(name) ? parsePairs(flags.list(name), `--${name}`) : undefined;
}

function some<T>(values: readonly T[]): readonly T[] | undefined {
  return values.length > 0 ? values : undefined;
}

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the fields that nobody gave: absent is "not said", and the image or the daemon decides. */
function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

function filled<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => (Array.isArray(value) ? value.length > 0 : Object.keys(value as object).length > 0)),
  ) as Partial<T>;
}
