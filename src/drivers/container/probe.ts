/** Finds out whether containers run here by running one, with crun first and runc where crun fails. */

import { randomBytes } from "node:crypto";
import type { Call } from "../../contract/call.ts";
import type { BoundaryIdentity } from "../../contract/boundary.ts";
import type { BoundaryDriver, Bundle, Finding, ProbeReport } from "../../contract/driver.ts";
import { toFailure } from "../../contract/failure.ts";
import { HOST_IDS, OWN_IDS } from "../../contract/host-ids.ts";
import type { LauncherHello, LauncherVerbs } from "../../contract/launcher-protocol.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { copyProgram, ensureDirectory } from "../../host/workload-files.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { probeSteadily } from "../oci/steady-probe.ts";
import { loadDefaultProfile } from "./apparmor.ts";
import { facetsWith, CONTAINER_TRAIT_NAMES } from "./traits.ts";

export interface FoundRuntime {
  readonly name: "crun" | "runc";
  readonly path: string;
  readonly version: string;
  /** Whether workloads can have ids of their own: tried. */
  readonly ownIds: boolean;
  /** The AppArmor profile of containers that name none. */
  readonly appArmor?: string;
}

export interface Probed {
  readonly report: ProbeReport;
  readonly runtime: FoundRuntime | undefined;
}

export interface ProbeContext {
  readonly launcher: Launcher;
  readonly root: string;
  readonly driver: BoundaryDriver;
  findProgram(name: string): string | undefined;
  bundleFor(runtime: FoundRuntime, spec: SandboxSpec, directory: string): Bundle;
}

type Mechanism = LauncherVerbs["probe"]["ask"]["what"];

/** Without the first three nothing runs; the others weaken what is promised. */
const MECHANISMS: readonly { what: Mechanism; level: "missing" | "warning"; remedy: string }[] = [
  { what: "namespaces", level: "missing", remedy: "Run the launcher as root, outside a container that forbids namespaces" },
  { what: "overlay", level: "missing", remedy: "modprobe overlay, and keep the root on ext4, xfs or btrfs" },
  { what: "cgroup", level: "missing", remedy: "Mount control groups (systemd does), and let the launcher's unit delegate them" },
  { what: "memory-limit", level: "warning", remedy: "Boot with cgroup_enable=memory" },
];

export function probeContainers(context: ProbeContext, call: Call): Promise<Probed> {
  return probeSteadily(context.launcher, call, () => probeOnce(context, call));
}

async function probeOnce(context: ProbeContext, call: Call): Promise<Probed> {
  let hello: LauncherHello;
  try {
    hello = await context.launcher.hello();
  } catch (thrown) {
    const failure = toFailure(thrown);
    return conclude(
      [{ id: "launcher-answers", level: "missing", what: failure.message, ...(failure.remedy === undefined ? {} : { remedy: failure.remedy }) }],
      undefined,
    );
  }
  const findings = await Promise.all(MECHANISMS.map((mechanism) => tryMechanism(context, mechanism)));
  if (findings.some((finding) => finding.level === "missing")) return conclude(findings, undefined);
  const { profile, finding: confined } = await loadDefaultProfile(context.launcher);
  if (confined !== undefined) findings.push(confined);
  for (const name of ["crun", "runc"] as const) {
    const { runtime, findings: seen } = await tryRuntime(context, { name, hello, profile }, call);
    findings.push(...seen);
    if (runtime !== undefined) return conclude(findings, runtime);
  }
  return conclude(findings, undefined);
}

/** Of a workload that asks for nothing of the host's. */
export function identityOf({ name, version, ownIds }: FoundRuntime): BoundaryIdentity {
  return { kind: "container", engine: name, version, emulated: false, traits: [...CONTAINER_TRAIT_NAMES, ownIds ? OWN_IDS : HOST_IDS] };
}

function conclude(findings: readonly Finding[], runtime: FoundRuntime | undefined): Probed {
  if (runtime === undefined) return { report: { kind: "container", usable: false, findings, facets: [] }, runtime };
  return {
    report: {
      kind: "container",
      usable: true,
      identity: identityOf(runtime),
      // A runtime that failed matters no more once the other one runs.
      findings: findings.map((finding) => (finding.level === "missing" ? { ...finding, level: "warning" } : finding)),
      facets: facetsWith(runtime.name),
    },
    runtime,
  };
}

async function tryMechanism(context: ProbeContext, mechanism: (typeof MECHANISMS)[number]): Promise<Finding> {
  const id = `${mechanism.what}-work`;
  try {
    const { works, detail } = await context.launcher.request("probe", { what: mechanism.what });
    return works ? { id, level: "ok", what: detail } : { id, level: mechanism.level, what: detail, remedy: mechanism.remedy };
  } catch (thrown) {
    // Not tried is not failed: the container that is run next decides.
    return { id, level: "note", what: `${mechanism.what} could not be tried: ${toFailure(thrown).message}`, remedy: mechanism.remedy };
  }
}

async function tryRuntime(
  context: ProbeContext,
  given: { name: "crun" | "runc"; hello: LauncherHello; profile: string | undefined },
  call: Call,
): Promise<{ runtime?: FoundRuntime; findings: readonly Finding[] }> {
  const { name, hello, profile } = given;
  const id = `${name}-runs`;
  const path = context.findProgram(name);
  if (path === undefined)
    return { findings: [{ id, level: "missing", what: `${name} is not installed`, remedy: `apt-get install --no-install-recommends ${name}` }] };
  try {
    const { stdout } = await context.launcher.request("run", { program: name, arguments: ["--version"], deadlineMs: 5000 });
    const version = /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
    const program = `/proc/${hello.pid}/exe`;
    const plain: FoundRuntime = { name, path, version, ownIds: false, ...(profile === undefined ? {} : { appArmor: profile }) };
    const ids = await tryOwnIds(context, { runtime: plain, program }, call);
    const runtime = { ...plain, ownIds: ids.level === "ok" };
    const began = performance.now();
    const code = runtime.ownIds ? 0 : await runTrial(context, { runtime, program }, call);
    if (code === 126 || code === 127) {
      const what = `${name} ${version} could not execute a program in a container (${code})`;
      return { findings: [{ id, level: "missing", what, remedy: "See the launcher's log" }] };
    }
    const took = runtime.ownIds ? "" : ` in ${Math.round(performance.now() - began)} ms`;
    return { runtime, findings: [{ id, level: "ok", what: `${name} ${version} ran a container with cgroup ${hello.cgroup}${took}` }, ids] };
  } catch (thrown) {
    const { message, remedy } = toFailure(thrown);
    return { findings: [{ id, level: "missing", what: `${name} does not run a container here: ${message}`, remedy: remedy ?? "See the launcher's log" }] };
  }
}

/** Runs a container with ids of its own. Where that fails containers run with the host's: declared, and refused where the floor asks for more. */
async function tryOwnIds(context: ProbeContext, given: { runtime: FoundRuntime; program: string }, call: Call): Promise<Finding> {
  const id = "user-namespaces-work";
  const without = "containers run with the host's ids, where root inside is root outside";
  if (given.runtime.name !== "crun")
    return {
      id,
      level: "warning",
      what: `${given.runtime.name} is given no user namespaces: ${without}`,
      remedy: "apt-get install --no-install-recommends crun",
    };
  try {
    const began = performance.now();
    const code = await runTrial(context, { ...given, runtime: { ...given.runtime, ownIds: true } }, call);
    if (code === 126 || code === 127) throw new Error(`its program could not be executed (${code})`);
    return { id, level: "ok", what: `A container ran in a user namespace with 65536 ids of its own, in ${Math.round(performance.now() - began)} ms` };
  } catch (thrown) {
    const { message, remedy } = toFailure(thrown);
    return {
      id,
      level: "warning",
      what: `A container does not run in a user namespace here: ${message}; ${without}`,
      ...(remedy === undefined ? {} : { remedy }),
    };
  }
}

/** A whole life in small: the launcher's own static program, alone in its root, run to its end and removed. */
async function runTrial(context: ProbeContext, given: { runtime: FoundRuntime; program: string }, call: Call): Promise<number> {
  const workload = randomBytes(32).toString("hex");
  const directory = `${context.root}/probe/${workload}`;
  const layer = `${context.root}/probe/layer`;
  ensureDirectory(`${layer}/etc`, 0o755);
  copyProgram(given.program, `${layer}/probe`);
  const bundle = context.bundleFor(given.runtime, createTrialSpec({ workload, root: { form: "directories", layers: [layer] } }), directory);
  try {
    const main: ProcessSpec = plainProcess(["/probe"]);
    const sandbox = await context.driver.launch(bundle, main, call);
    await sandbox.start(call);
    const reason = await sandbox.ended;
    if (reason.kind === "boundary-lost") throw new Error(reason.what);
    return reason.status.code;
  } finally {
    await context.driver.remove(bundle, call);
  }
}
