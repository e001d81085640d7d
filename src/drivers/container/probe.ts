/** Finds out whether containers run here by running one, with crun first and runc where crun fails. */

import { randomBytes } from "node:crypto";
import type { Call } from "../../contract/call.ts";
import type { BoundaryDriver, Bundle, Finding, ProbeReport } from "../../contract/driver.ts";
import { toFailure } from "../../contract/failure.ts";
import type { LauncherHello, LauncherVerbs } from "../../contract/launcher-protocol.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { copyProgram, ensureDirectory } from "../../host/workload-files.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { loadDefaultProfile } from "./apparmor.ts";
import { CONTAINER_FACETS, CONTAINER_TRAIT_NAMES } from "./traits.ts";

export interface FoundRuntime {
  readonly name: "crun" | "runc";
  readonly path: string;
  readonly version: string;
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

export async function probeContainers(context: ProbeContext, call: Call): Promise<Probed> {
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
    const { runtime, finding } = await tryRuntime(context, { name, hello, profile }, call);
    findings.push(finding);
    if (runtime !== undefined) return conclude(findings, runtime);
  }
  return conclude(findings, undefined);
}

function conclude(findings: readonly Finding[], runtime: FoundRuntime | undefined): Probed {
  if (runtime === undefined) return { report: { kind: "container", usable: false, findings, facets: [] }, runtime };
  return {
    report: {
      kind: "container",
      usable: true,
      identity: { kind: "container", engine: runtime.name, version: runtime.version, emulated: false, traits: CONTAINER_TRAIT_NAMES },
      // A runtime that failed matters no more once the other one runs.
      findings: findings.map((finding) => (finding.level === "missing" ? { ...finding, level: "warning" } : finding)),
      facets: CONTAINER_FACETS,
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
): Promise<{ runtime?: FoundRuntime; finding: Finding }> {
  const { name } = given;
  const id = `${name}-runs`;
  const path = context.findProgram(name);
  if (path === undefined)
    return { finding: { id, level: "missing", what: `${name} is not installed`, remedy: `apt-get install --no-install-recommends ${name}` } };
  try {
    const { stdout } = await context.launcher.request("run", { program: name, arguments: ["--version"], deadlineMs: 5000 });
    const version = /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
    const runtime: FoundRuntime = { name, path, version, ...(given.profile === undefined ? {} : { appArmor: given.profile }) };
    const began = performance.now();
    const code = await runTrial(context, { runtime, program: `/proc/${given.hello.pid}/exe` }, call);
    if (code === 126 || code === 127)
      return {
        finding: { id, level: "missing", what: `${name} ${version} could not execute a program in a container (${code})`, remedy: "See the launcher's log" },
      };
    const took = Math.round(performance.now() - began);
    return { runtime, finding: { id, level: "ok", what: `${name} ${version} ran a container with cgroup ${given.hello.cgroup} in ${took} ms` } };
  } catch (thrown) {
    const failure = toFailure(thrown);
    return {
      finding: { id, level: "missing", what: `${name} does not run a container here: ${failure.message}`, remedy: failure.remedy ?? "See the launcher's log" },
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
