/** What can never work is refused here, before anything is made: one sentence that says what, and how to mend it. */

import { isAbsolute } from "node:path";
import type { BoundaryTraits } from "../contract/boundary.ts";
import type { BoundaryKind } from "../contract/boundary.ts";
import { Failure, quote } from "../contract/failure.ts";
import type { LimitsSpec } from "../contract/spec.ts";
import type { ImageConfiguration } from "../images/index.ts";
import type { WorkloadRequest } from "./index.ts";
import { checkInsidePath, checkTarget } from "./inside-paths.ts";
import { parseSignal } from "./signals.ts";

/** Docker's own floor: less than this cannot even hold the process that starts it. */
const LEAST_MEMORY_BYTES = 6 * 1024 * 1024;

function refuse(what: string, remedy: string): never {
  throw new Failure("INVALID_SPEC", what, { remedy });
}

export function checkRequest(request: WorkloadRequest): void {
  checkProcess(request);
  checkPorts(request);
  checkLimits(request.limits);
  checkTargets(request);
  checkSecurityPaths(request);
  checkRlimits(request);
  checkRestart(request);
  if (request.stopSignal !== undefined) parseSignal(request.stopSignal);
  if (request.hostname !== undefined && !/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,62})$/.test(request.hostname))
    refuse(`invalid hostname ${quote(request.hostname)}`, "Use letters, digits, hyphens and full stops, at most 63 characters.");
  for (const entry of request.extraHosts) if (!/^[^:\s]+[:=]\S+$/.test(entry)) refuse(`invalid extra host ${quote(entry)}`, "Write it as name:address.");
  if (request.domainName !== undefined && !/^[a-zA-Z0-9_.-]{1,64}$/.test(request.domainName))
    refuse(`invalid domain name ${quote(request.domainName)}`, "Use letters, digits, hyphens and full stops, at most 64 characters.");
  if (request.stopTimeoutSeconds !== undefined && request.stopTimeoutSeconds < -1)
    refuse(`invalid stop timeout: ${request.stopTimeoutSeconds} s`, "Use zero or more, or -1 to wait without end.");
  if (request.shmBytes !== undefined && request.shmBytes <= 0) refuse("the size of /dev/shm must be above zero", "Leave it out for 64 MiB.");
}

function checkProcess(request: WorkloadRequest): void {
  const directory = request.workingDirectory;
  if (directory !== undefined && directory !== "" && !isAbsolute(directory))
    refuse(`the working directory ${quote(directory)} is invalid, it needs to be an absolute path`, "Begin it with a slash.");
  checkInsidePath(directory ?? "", "the working directory");
  checkWords([...(request.entrypoint ?? []), ...(request.command ?? []), ...request.environment]);
  checkUser(request.user, request.additionalGroups);
  for (const entry of request.environment)
    if (entry === "" || entry.startsWith("=") || entry.includes("\0")) refuse(`invalid environment variable: ${quote(entry)}`, "Write it as NAME=value.");
}

/** MAX_ARG_STRLEN of Linux, its end included. */
const MOST_WORD_BYTES = 131_071;

/** What execve(2) takes: the words of a command, or its environment. */
export function checkWords(words: readonly string[]): void {
  for (const word of words) {
    if (word.includes("\0")) refuse("a word of the command or its environment holds a zero byte", "Arguments end at a zero byte: take it out.");
    if (Buffer.byteLength(word) > MOST_WORD_BYTES)
      refuse(`argument list too long: a word of the command or its environment has more than ${MOST_WORD_BYTES} bytes`, "Pass long texts in a file.");
  }
}

export function checkUser(user: string | undefined, groups: readonly string[] = []): void {
  for (const name of [user ?? "", ...groups])
    if (name.length > 256 || /[\0\s]/.test(name)) refuse(`invalid user or group: ${quote(name)}`, "Write NAME, UID, or UID:GID.");
}

function checkPorts(request: WorkloadRequest): void {
  const seen = new Set<string>();
  for (const { hostPort, workloadPort, hostAddress, protocol } of request.ports) {
    if (!Number.isInteger(workloadPort) || workloadPort < 1 || workloadPort > 65_535) refuse(`invalid container port ${workloadPort}`, "Use 1 to 65535.");
    if (!Number.isInteger(hostPort) || hostPort < 0 || hostPort > 65_535) refuse(`invalid host port ${hostPort}`, "Use 1 to 65535, or 0 for a free one.");
    const key = `${protocol} ${hostAddress}:${hostPort}`;
    if (hostPort !== 0 && seen.has(key)) refuse(`host port ${hostPort}/${protocol} is published twice`, "Give each published port a host port of its own.");
    seen.add(key);
  }
  if (request.ports.length > 0 && (request.network === "none" || request.network === "host")) return; // Docker ignores them; create warns.
}

export function checkLimits(limits: LimitsSpec): void {
  const { memoryBytes, memorySwapBytes, memoryReservationBytes, cpus, cpuShares, pids, oomScoreAdjust, cpuset } = limits;
  if (memoryBytes !== undefined && memoryBytes < LEAST_MEMORY_BYTES) refuse("Minimum memory limit allowed is 6MB", "Ask for 6 MiB or more.");
  if (memorySwapBytes !== undefined && memorySwapBytes !== -1) {
    if (memoryBytes === undefined) refuse("You should always set the Memory limit when using Memoryswap limit", "Set both, or neither.");
    if (memorySwapBytes < memoryBytes) refuse("Minimum memoryswap limit should be larger than memory limit", "It counts memory and swap together.");
  }
  if (memoryBytes !== undefined && memoryReservationBytes !== undefined && memoryReservationBytes > memoryBytes)
    refuse("Minimum memory limit can not be less than memory reservation limit", "Lower the reservation.");
  if (cpus !== undefined && !(cpus > 0 && Number.isFinite(cpus))) refuse(`invalid number of processors: ${cpus}`, "Use a number above zero, such as 0.5.");
  if (cpuShares !== undefined && (cpuShares < 2 || cpuShares > 262_144)) refuse(`invalid CPU shares: ${cpuShares}`, "Use 2 to 262144.");
  if (cpuset !== undefined && !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(cpuset)) refuse(`invalid processor list ${quote(cpuset)}`, "Write it as 0-2,5.");
  if (pids !== undefined && pids < 1) refuse(`invalid pids limit: ${pids}`, "Use a number above zero, or leave it out.");
  if (oomScoreAdjust !== undefined && (oomScoreAdjust < -1000 || oomScoreAdjust > 1000)) refuse("Invalid value for oom score adj", "Use -1000 to 1000.");
}

function checkTargets(request: WorkloadRequest): void {
  const seen = new Set<string>();
  for (const { target } of request.mounts) {
    const clean = checkTarget(target);
    if (seen.has(clean)) refuse(`Duplicate mount point: ${clean}`, "Mount one thing at one place.");
    seen.add(clean);
  }
}

/** The runtime itself comes up under these: with less it cannot say what is wrong. */
const LEAST: Readonly<Record<string, number>> = { RLIMIT_NOFILE: 16, RLIMIT_FSIZE: 4096 };

function checkRlimits({ rlimits }: WorkloadRequest): void {
  for (const { name, soft } of rlimits) {
    const least = LEAST[name] ?? 0;
    if (soft !== -1 && soft < least) refuse(`ulimit ${name.slice(7).toLowerCase()} of ${soft} lets no workload come up`, `Ask for ${least} or more.`);
  }
}

function checkSecurityPaths({ security }: WorkloadRequest): void {
  for (const { path } of security.devices) {
    checkInsidePath(path, "the device's path");
    if (!isAbsolute(path) || /^\/+(proc|sys)(\/|$)/.test(path)) refuse(`invalid device path: ${quote(path)}`, "Name an absolute path, below /dev as a rule.");
  }
  for (const path of [...(security.maskedPaths ?? []), ...(security.readOnlyPaths ?? [])]) {
    checkInsidePath(path, "a masked or read-only path");
    if (!isAbsolute(path) || /^\/+$/.test(path)) refuse(`invalid masked or read-only path: ${quote(path)}`, "Name an absolute path below /.");
  }
}

function checkRestart({ restart, autoRemove }: WorkloadRequest): void {
  if (autoRemove && restart.name !== "no") refuse("can't create 'AutoRemove' container with restart policy", "Choose one: removed at its end, or restarted.");
  if (restart.maximumRetries < 0) refuse("maximum retry count cannot be negative", "Use 0 for no end.");
  if (restart.maximumRetries > 0 && restart.name !== "on-failure") refuse("maximum retry count can only be used with 'on-failure'", "Leave it out.");
}

/** What this boundary can never do is refused by its traits, not by its name. */
export function checkTraits(request: WorkloadRequest, kind: BoundaryKind, traits: BoundaryTraits): void {
  const cannot = (what: string, remedy: string) => {
    throw new Failure("UNSUPPORTED", what, { boundary: kind, remedy });
  };
  if (request.network === "host" && !traits.hostNetwork)
    cannot(`${kind} has a network of its own and cannot use the host's`, "Use the bridge network and publish ports.");
  if (traits.hostPaths === "none" && request.mounts.some(({ kind: mount }) => mount !== "tmpfs"))
    cannot(`${kind} cannot show directories of the host`, "Copy the files into the image, or choose another boundary.");
  if (traits.kernel === "none") checkWithoutKernel(request, cannot);
  if (traits.rootForm === "disk") checkWholeMachine(request, cannot);
  if (traits.kernel === "own" && request.security.hostNamespaces.length > 0)
    cannot(`${kind} has a kernel of its own and cannot join the host's ${request.security.hostNamespaces.join(", ")} namespace`, "Leave the option out.");
}

/** Where there is no kernel there is nothing that could be networked, traced or shared with the host. */
function checkWithoutKernel(request: WorkloadRequest, cannot: (what: string, remedy: string) => void): void {
  const container = "Leave the option out, or choose the boundary container.";
  if (request.network !== "none") cannot(`a workload without a kernel has no network, and ${quote(request.network)} was asked for`, "Leave --network out.");
  if (request.ports.length > 0 || request.publishAll) cannot("a workload without a kernel has no network, and no port of it can be published", container);
  if (request.terminal) cannot("a workload without a kernel has no terminal", "Leave --tty out.");
  if (request.init) cannot("a workload without a kernel has no processes, and no init", container);
  if (request.healthCheck !== undefined) cannot("a health check is a second process, which a workload without a kernel cannot have", container);
  const { privileged, hostNamespaces, devices, capabilitiesAdd } = request.security;
  if (privileged || hostNamespaces.length > 0 || devices.length > 0 || capabilitiesAdd.length > 0)
    cannot("a workload without a kernel has no privileges, namespaces or devices to be given", container);
}

/** A machine that boots its own disk has nobody inside who could be told anything: what nothing could come of is refused by its name. */
function checkWholeMachine(request: WorkloadRequest, cannot: (what: string, remedy: string) => void): void {
  const microvm = "Leave the option out, or choose the boundary microvm.";
  if ((request.command ?? []).length + (request.entrypoint ?? []).length > 0)
    cannot("a whole machine runs what its disk boots, and no command", "Leave the command out, or choose the boundary microvm.");
  if (request.environment.length > 0) cannot("a whole machine's programs cannot be given an environment", microvm);
  if (request.user || request.workingDirectory || request.additionalGroups.length > 0)
    cannot("a whole machine has its own users and directories, and none can be chosen for it", microvm);
  if (request.mounts.length > 0) cannot("there is nobody in a whole machine who could mount anything", "Put it on its disk, or choose the boundary microvm.");
  if (request.init) cannot("a whole machine has its own init", microvm);
  if (request.healthCheck !== undefined) cannot("a health check is a second process, which nobody could start in a whole machine", microvm);
  if (request.extraHosts.length > 0) cannot("a whole machine's /etc/hosts is its own", microvm);
  if (request.rlimits.length + Object.keys(request.sysctls).length > 0 || request.shmBytes !== undefined)
    cannot("limits and settings inside a whole machine are its own system's", microvm);
  const { privileged, devices, capabilitiesAdd, capabilitiesDrop, readOnlyRoot } = request.security;
  if (privileged || devices.length + capabilitiesAdd.length + capabilitiesDrop.length > 0)
    cannot("a whole machine gives its programs what privileges it likes, and is given no device of the host's", microvm);
  if (readOnlyRoot) cannot("a whole machine's disk is written by its own system", "Leave --read-only out.");
}

/** What is asked of this boundary, once what nobody asked for is left out. */
export function fitToTraits(request: WorkloadRequest, traits: BoundaryTraits): WorkloadRequest {
  return traits.kernel === "none" && request.networkByDefault === true ? { ...request, network: "none" } : request;
}

/** The image was made for a machine that this boundary can be. */
export function checkPlatform(request: WorkloadRequest, image: ImageConfiguration, architecture: string): readonly string[] {
  const own = `${image.os}/${image.architecture}${image.variant ? `/${image.variant}` : ""}`;
  if (request.platform !== undefined && request.platform !== "" && !own.startsWith(request.platform))
    throw new Failure(
      "NOT_FOUND",
      `image ${quote(request.image)} was found but does not match the specified platform: wanted ${request.platform}, actual: ${own}`,
      {
        remedy: `Pull it for that platform, or leave --platform out.`,
      },
    );
  const matches = image.architecture === "" || image.architecture.startsWith("wasm") || image.architecture === architecture;
  return matches ? [] : [`The requested image's platform (${own}) does not match the detected host platform (linux/${architecture})`];
}
