/** A process as the runtime specification wants it: numbers for users, Docker's defaults in the environment. Pure. */

import type { GuestProcess } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Accounts } from "./accounts.ts";
import { resolveUser } from "./accounts.ts";
import { INIT_TARGET } from "./mounts.ts";
import type { OciProcess } from "./oci-config.ts";

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What of a sandbox its processes share. */
export type ProcessGuards = Pick<SandboxSpec, "hostname" | "init" | "rlimits"> & {
  readonly capabilities: readonly string[];
  /** All that the host has, for a privileged exec. */
  readonly hostCapabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly appArmor?: string;
  readonly oomScoreAdjust?: number;
};

export function guardsOf(spec: SandboxSpec, hostCapabilities: readonly string[]): ProcessGuards {
  return {
    hostCapabilities,
    hostname: spec.hostname,
    init: spec.init,
    rlimits: spec.rlimits,
    capabilities: spec.security.capabilities,
    noNewPrivileges: spec.security.noNewPrivileges,
    ...(spec.security.appArmor === undefined || spec.security.appArmor === "unconfined" ? {} : { appArmor: spec.security.appArmor }),
    ...(spec.limits.oomScoreAdjust === undefined ? {} : { oomScoreAdjust: spec.limits.oomScoreAdjust }),
  };
}

export function composeProcess(main: ProcessSpec, guards: ProcessGuards, accounts: Accounts): OciProcess {
  const { home, ...user } = resolveUser(main.user, main.additionalGroups, accounts);
  const size = main.terminalSize;
  return {
    terminal: main.terminal,
    ...(main.terminal && size !== undefined ? { consoleSize: { height: size.rows, width: size.columns } } : {}),
    user,
    args: guards.init ? [INIT_TARGET, "--", ...main.command] : main.command,
    env: composeEnvironment(main, guards.hostname, home),
    cwd: main.workingDirectory === "" ? "/" : main.workingDirectory,
    // No inheritable and no ambient ones: CVE-2022-24769.
    capabilities: { bounding: guards.capabilities, effective: guards.capabilities, permitted: guards.capabilities },
    rlimits: guards.rlimits.map(({ name, soft, hard }) => ({ type: name, soft, hard })),
    noNewPrivileges: guards.noNewPrivileges,
    ...(guards.appArmor === undefined ? {} : { apparmorProfile: guards.appArmor }),
    ...(guards.oomScoreAdjust === undefined ? {} : { oomScoreAdj: guards.oomScoreAdjust }),
  };
}

/** What every exec has unless it says otherwise: the sandbox's guards, root, and an environment of defaults. */
export function composeExecDefaults(guards: ProcessGuards): OciProcess {
  const nobodySpecial: ProcessSpec = {
    command: ["/bin/sh"],
    environment: [],
    workingDirectory: "/",
    user: "0:0",
    additionalGroups: [],
    terminal: false,
    stdin: false,
    stdinOnce: false,
  };
  return composeProcess(nobodySpecial, { ...guards, init: false }, { users: [], groups: [] });
}

/** An exec as the supervisor is told it: user and groups already numbers. */
export function composeExec(spec: ProcessSpec, guards: ProcessGuards, accounts: Accounts): GuestProcess {
  const { home, uid, gid, additionalGids } = resolveUser(spec.user, spec.additionalGroups, accounts);
  return {
    command: spec.command,
    environment: composeEnvironment(spec, guards.hostname, home),
    workingDirectory: spec.workingDirectory === "" ? "/" : spec.workingDirectory,
    user: `${uid}:${gid}`,
    additionalGroups: additionalGids.map(String),
    terminal: spec.terminal,
    ...(spec.terminalSize === undefined ? {} : { terminalSize: spec.terminalSize }),
    stdin: spec.stdin,
    capabilities: spec.privileged === true ? guards.hostCapabilities : guards.capabilities,
    noNewPrivileges: guards.noNewPrivileges,
    rlimits: guards.rlimits,
    init: false,
    ...(guards.oomScoreAdjust === undefined ? {} : { oomScoreAdjust: guards.oomScoreAdjust }),
  };
}

/** Docker's order: PATH, HOSTNAME and TERM may be replaced by what is asked for, HOME is added where it is missing. */
function composeEnvironment(spec: ProcessSpec, hostname: string, home: string): string[] {
  const values = new Map<string, string>();
  const set = (entry: string) => values.set(entry.slice(0, Math.max(0, entry.indexOf("="))) || entry, entry);
  set(DEFAULT_PATH);
  set(`HOSTNAME=${hostname}`);
  if (spec.terminal) set("TERM=xterm");
  for (const entry of spec.environment) {
    if (entry.includes("=")) set(entry);
    else values.delete(entry); // a bare name takes a variable away
  }
  if (!values.has("HOME")) set(`HOME=${home}`);
  return [...values.values()];
}
