/**
 * Seccomp profiles in Docker's form, resolved for one host and one set of capabilities into the runtime specification's
 * form. Docker's conditions (`includes`, `excludes`: capabilities, architectures, kernel versions) are evaluated as moby's
 * profiles/seccomp does.
 */

import { createHash } from "node:crypto";
import { Failure } from "../../contract/failure.ts";
import defaultProfile from "./data/seccomp-default.json" with { type: "json" };
import type { OciSeccomp, OciSyscall } from "../oci/oci-config.ts";
import { type Profile, type ProfileSyscall, readProfile } from "./seccomp-profile.ts";

/** The host's facts that conditions look at. */
export interface SeccompHost {
  /** In Go's words: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly kernelMajor: number;
  readonly kernelMinor: number;
}

const SECCOMP_ARCHITECTURE: Readonly<Record<string, string>> = {
  amd64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
  riscv64: "SCMP_ARCH_RISCV64",
  s390x: "SCMP_ARCH_S390X",
  ppc64le: "SCMP_ARCH_PPC64LE",
};

/** Nearly every workload asks for the same one: held by capabilities and host. */
const resolved = new Map<string, OciSeccomp>();
const MOST_RESOLVED = 32;

/** Docker's default profile for these capabilities. */
export function resolveDefaultProfile(capabilities: readonly string[], host: SeccompHost): OciSeccomp {
  const key = `${host.architecture} ${host.kernelMajor}.${host.kernelMinor} ${capabilities.join(" ")}`;
  let profile = resolved.get(key);
  if (profile === undefined) {
    profile = resolveProfile(defaultProfile as Profile, capabilities, host) as OciSeccomp;
    if (resolved.size >= MOST_RESOLVED) resolved.clear();
    resolved.set(key, profile);
  }
  return profile;
}

/** A profile from its JSON text; undefined where it asks for nothing. Rejects INVALID_SPEC for what is no profile. */
export function parseProfile(text: string, capabilities: readonly string[], host: SeccompHost): OciSeccomp | undefined {
  return resolveProfile(readProfile(text), capabilities, host);
}

function resolveProfile(profile: Profile, capabilities: readonly string[], host: SeccompHost): OciSeccomp | undefined {
  const calls = profile.syscalls ?? [];
  if (!profile.defaultAction && calls.length === 0) return undefined;
  if (profile.defaultAction == null) throw new Failure("INVALID_SPEC", "The seccomp profile has no defaultAction");
  if ((profile.architectures?.length ?? 0) > 0 && (profile.archMap?.length ?? 0) > 0) {
    throw new Failure("INVALID_SPEC", "The seccomp profile gives both architectures and archMap; use one");
  }
  const native = profile.archMap?.find((entry) => entry.architecture === SECCOMP_ARCHITECTURE[host.architecture]);
  const architectures = native === undefined ? (profile.architectures ?? []) : [native.architecture, ...(native.subArchitectures ?? [])];
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet == null ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(architectures.length === 0 ? {} : { architectures }),
    ...(profile.flags == null ? {} : { flags: profile.flags }),
    syscalls: calls.filter((call) => applies(call, capabilities, host)).map(toOciSyscall),
  };
}

function applies(call: ProfileSyscall, capabilities: readonly string[], host: SeccompHost): boolean {
  const { includes, excludes } = call;
  if (excludes) {
    if (excludes.arches?.includes(host.architecture)) return false;
    if (excludes.caps?.some((name) => capabilities.includes(name))) return false;
    if (excludes.minKernel != null && kernelReaches(excludes.minKernel, host)) return false;
  }
  if (includes) {
    if ((includes.arches?.length ?? 0) > 0 && !includes.arches?.includes(host.architecture)) return false;
    if (!(includes.caps ?? []).every((name) => capabilities.includes(name))) return false;
    if (includes.minKernel != null && !kernelReaches(includes.minKernel, host)) return false;
  }
  return true;
}

function kernelReaches(minimum: string, host: SeccompHost): boolean {
  const match = /^(\d+)\.(\d+)$/.exec(minimum);
  if (match === null) throw new Failure("INVALID_SPEC", "The seccomp profile has a minKernel that is not of the form 4.8");
  const major = Number(match[1]);
  return host.kernelMajor > major || (host.kernelMajor === major && host.kernelMinor >= Number(match[2]));
}

function toOciSyscall(call: ProfileSyscall): OciSyscall {
  const names = call.name == null ? call.names : [call.name];
  if (names == null) throw new Failure("INVALID_SPEC", "The seccomp profile has a rule without names or action");
  return {
    names,
    action: call.action,
    ...(call.errnoRet == null ? {} : { errnoRet: call.errnoRet }),
    ...(call.args == null || call.args.length === 0 ? {} : { args: call.args }),
  };
}

const keys = new WeakMap<OciSeccomp, string | null>();

/** The same for equal filters: what compiled ones are cached under. A profile that notifies must not be cached. */
export function seccompKey(seccomp: OciSeccomp): string | undefined {
  let key = keys.get(seccomp);
  if (key === undefined) {
    const text = JSON.stringify(seccomp);
    key = text.includes("SCMP_ACT_NOTIFY") ? null : createHash("sha256").update(text).digest("hex").slice(0, 32);
    keys.set(seccomp, key);
  }
  return key ?? undefined;
}
