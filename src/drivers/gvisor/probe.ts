/**
 * Finds out whether gVisor runs here by running a sandbox, and on which platform: systrap, which intercepts system calls inside the
 * workload's own threads, before ptrace, which is slower and runs nearly everywhere. KVM is tried only where the operator names it: there
 * are hosts on which it opens and then hangs. What was tried is told; nothing weaker than gVisor is ever taken.
 */

import { randomBytes } from "node:crypto";
import type { Call } from "../../contract/call.ts";
import type { BoundaryIdentity } from "../../contract/boundary.ts";
import type { BoundaryDriver, Bundle, Finding, ProbeReport } from "../../contract/driver.ts";
import { Failure, toFailure } from "../../contract/failure.ts";
import { HOST_IDS, OWN_IDS } from "../../contract/host-ids.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { copyProgram, ensureDirectory } from "../../host/workload-files.ts";
import { probeSteadily } from "../oci/steady-probe.ts";
import { GVISOR_FACETS, gvisorTraitNames, type Platform } from "./traits.ts";

export interface FoundRunsc {
  readonly path: string;
  readonly version: string;
  readonly platform: Platform;
  readonly arguments: readonly string[];
  /** Whether its file server has ids of its own: tried. */
  readonly ownIds: boolean;
}

export interface Probed {
  readonly report: ProbeReport;
  readonly runsc: FoundRunsc | undefined;
}

export interface ProbeContext {
  readonly launcher: Launcher;
  readonly root: string;
  readonly driver: BoundaryDriver;
  /** The only platform to try, where the operator names one. */
  readonly platform?: Platform;
  findProgram(name: string): string | undefined;
  bundleFor(runsc: FoundRunsc, spec: SandboxSpec, directory: string): Bundle;
}

const INSTALL = "apt-get install --no-install-recommends runsc";
/** A busy host may take long; a platform that hangs, for ever. */
const TRIAL_DEADLINE_MS = 30_000;
const BY_ITSELF: readonly Platform[] = ["systrap", "ptrace"];

export function probeGvisor(context: ProbeContext, call: Call): Promise<Probed> {
  return probeSteadily(context.launcher, call, () => probeOnce(context, call));
}

async function probeOnce(context: ProbeContext, call: Call): Promise<Probed> {
  const findings: Finding[] = [];
  const lacking = (id: string, what: string, remedy: string): Probed => conclude([...findings, { id, level: "missing", what, remedy }], undefined);
  const path = context.findProgram("runsc");
  if (path === undefined) return lacking("runsc-installed", "runsc is not installed", INSTALL);
  let about: { version: string; overlay: boolean };
  try {
    about = await askRunsc(context.launcher);
  } catch (thrown) {
    const failure = toFailure(thrown);
    return lacking("runsc-answers", failure.message, failure.remedy ?? INSTALL);
  }
  const { version } = about;
  let why = "";
  for (const platform of context.platform === undefined ? BY_ITSELF : [context.platform]) {
    const runsc: FoundRunsc = { path, version, platform, arguments: argumentsOf(platform, about.overlay), ownIds: true };
    const { finding, hung } = await tryPlatform(context, runsc, call);
    if (finding.level === "ok") return conclude([...findings, finding], runsc);
    // Weaker by the file server's ids, and said: where it is a platform that is missing, it fails again. One that hangs is not waited for twice.
    const plain = hung ? finding : (await tryPlatform(context, { ...runsc, ownIds: false }, call)).finding;
    if (plain.level === "ok") return conclude([...findings, plain, withoutOwnIds(finding)], { ...runsc, ownIds: false });
    findings.push(plain);
    why = plain.what;
  }
  return lacking("gvisor-runs", `No sandbox could be run. ${why}`, "Install a newer runsc (gvisor.dev/docs/user_guide/install), or see the launcher's log");
}

/**
 * Raw sockets are those of gVisor's own network stack, and CAP_NET_RAW decides, as in a container. Newer releases keep what is written to
 * the root in memory or beside it unless they are told not to.
 */
function argumentsOf(platform: Platform, overlay: boolean): readonly string[] {
  return [`--platform=${platform}`, "--net-raw", ...(overlay ? ["--overlay2=none"] : [])];
}

async function askRunsc(launcher: Launcher): Promise<{ version: string; overlay: boolean }> {
  const ask = (words: readonly string[]) => launcher.request("run", { program: "runsc", arguments: words, deadlineMs: 5000 });
  const [said, flags] = await Promise.all([ask(["--version"]), ask(["flags"])]);
  const version = /version (\S+)/.exec(said.stdout)?.[1];
  if (version === undefined) throw new Failure("UNAVAILABLE", "runsc does not say its version", { remedy: INSTALL });
  return { version, overlay: /^\s+-overlay2 /m.test(flags.stdout + flags.stderr) };
}

function withoutOwnIds({ what }: Finding): Finding {
  return {
    id: "gvisor-user-namespaces",
    level: "warning",
    what: `gVisor's file server runs with the host's ids. ${what}`,
    remedy: "keep the root on ext4, xfs or btrfs with a kernel from 5.19 on",
  };
}

/** Of a workload that does not ask for the host's ids. */
export function identityOf({ version, platform, ownIds }: FoundRunsc): BoundaryIdentity {
  return { kind: "gvisor", engine: "runsc", version, emulated: false, traits: [...gvisorTraitNames(platform), ownIds ? OWN_IDS : HOST_IDS] };
}

function conclude(findings: readonly Finding[], runsc: FoundRunsc | undefined): Probed {
  if (runsc === undefined) return { report: { kind: "gvisor", usable: false, findings, facets: [] }, runsc };
  return { report: { kind: "gvisor", usable: true, identity: identityOf(runsc), findings, facets: GVISOR_FACETS }, runsc };
}

async function tryPlatform(context: ProbeContext, runsc: FoundRunsc, call: Call): Promise<{ readonly finding: Finding; readonly hung: boolean }> {
  const { platform, version } = runsc;
  const id = `platform-${platform}`;
  const began = performance.now();
  const deadline = AbortSignal.timeout(TRIAL_DEADLINE_MS);
  try {
    const code = await runTrial(context, runsc, { ...call, signal: AbortSignal.any([call.signal, deadline]) });
    const took = Math.round(performance.now() - began);
    if (code === 126 || code === 127) throw new Failure("UNAVAILABLE", `the trial's program could not be executed (${code})`);
    const ids = runsc.ownIds ? ", its file server with ids of its own," : "";
    return { finding: { id, level: "ok", what: `runsc ${version} ran a sandbox on the platform ${platform}${ids} in ${took} ms` }, hung: false };
  } catch (thrown) {
    const failure = toFailure(thrown);
    const why = deadline.aborted ? `it did not end within ${TRIAL_DEADLINE_MS / 1000} s` : failure.message;
    return { finding: { id, level: "note", what: `runsc ${version} does not run on the platform ${platform} here: ${why}` }, hung: deadline.aborted };
  }
}

/** A whole life in small: the launcher's own static program, alone in its root, run to its end and removed. */
async function runTrial(context: ProbeContext, runsc: FoundRunsc, call: Call): Promise<number> {
  const workload = randomBytes(32).toString("hex");
  const directory = `${context.root}/probe/${workload}`;
  const layer = `${context.root}/probe/gvisor-layer`;
  const { pid } = await context.launcher.hello();
  ensureDirectory(`${layer}/etc`, 0o755);
  copyProgram(`/proc/${pid}/exe`, `${layer}/probe`);
  const bundle = context.bundleFor(runsc, createTrialSpec({ workload, root: { form: "directories", layers: [layer] } }), directory);
  const aborted = Promise.withResolvers<never>();
  // Nobody may be waiting for it when it comes.
  aborted.promise.catch(() => undefined);
  call.signal.addEventListener("abort", () => aborted.reject(new Failure("CANCELLED", "The trial was given up")), { once: true });
  try {
    const sandbox = await context.driver.launch(bundle, trialProcess, call);
    await Promise.race([sandbox.start(call), aborted.promise]);
    const reason = await Promise.race([sandbox.ended, aborted.promise]);
    if (reason.kind === "boundary-lost") throw new Failure("UNAVAILABLE", reason.what);
    return reason.status.code;
  } finally {
    await context.driver.remove(bundle, call);
  }
}

const trialProcess: ProcessSpec = plainProcess(["/probe"]);
