/** Brings the policy its facts: which workload a request would make or strengthen, behind which boundary, with what of the host. */

import { readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Authorize, Intent } from "../api/index.ts";
import type { BoundaryIdentity, BoundaryKind } from "../contract/boundary.ts";
import { type Call, type Log, plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { Engine, ExecRequest, WorkloadRequest } from "../engine/index.ts";
import { MASKED, READ_ONLY } from "../engine/security.ts";
import type { Images } from "../images/index.ts";
import { type Identity, judge, OPEN_POLICY, type Policy, type PolicySubject } from "../policy/index.ts";

export interface AdmissionParts {
  readonly engine: Engine;
  readonly images: Images;
  readonly policy: { current(): Promise<Policy> };
  readonly log: Log;
}

/** Verbs that give a workload life or power. All others look at it, or take it away. */
const STRENGTHENING = new Set([
  "POST /containers/{id}/start",
  "POST /containers/{id}/restart",
  "POST /containers/{id}/unpause",
  "POST /containers/{id}/exec",
  "POST /containers/{id}/update",
]);

export function createAuthorize(parts: AdmissionParts): Authorize {
  return async (identity, intent) => {
    const judged = intent.request !== undefined || intent.exec !== undefined || intent.limits !== undefined || STRENGTHENING.has(intent.action);
    if (!judged) return;
    const policy = await parts.policy.current();
    if (policy === OPEN_POLICY) return;
    const subject = await subjectOf(intent, parts);
    if (subject === undefined) return; // it names nothing: the engine says so
    refuse(policy, identity, subject, parts.log);
  };
}

/** Throws DENIED_BY_POLICY with every demand that is not met. */
function refuse(policy: Policy, identity: Identity, subject: PolicySubject, log: Log): void {
  const violations = judge(policy, identity, subject);
  const [first] = violations;
  if (first === undefined) return;
  log.warn({ uid: identity.uid, pid: identity.pid, violations }, "denied by policy");
  const said = violations.map(({ rule, what }) => `${what} [${rule}]`).join("; ");
  throw new Failure("DENIED_BY_POLICY", `the operator's policy does not allow this: ${said}`, {
    remedy: [...new Set(violations.map(({ remedy }) => remedy))].join("; "),
  });
}

/** Undefined where the reference names no workload. */
export async function subjectOf(intent: Intent, parts: Pick<AdmissionParts, "engine" | "images">): Promise<PolicySubject | undefined> {
  if (intent.request !== undefined) {
    const kind = intent.request.isolation ?? parts.engine.defaultIsolation;
    return describe(intent.request, await boundaryOf(kind, parts.engine, plainCall()), parts.images);
  }
  const view = intent.subject === undefined ? undefined : orNothing(() => parts.engine.inspect(intent.subject ?? ""));
  if (view === undefined) return undefined;
  const subject = describe(view.request, await boundaryOf(view.boundary.kind, parts.engine, plainCall()), parts.images, view.imageId);
  return withUpdate(withExec(subject, intent.exec), intent.limits);
}

function withExec(subject: PolicySubject, exec: ExecRequest | undefined): PolicySubject {
  return exec?.privileged === true ? { ...subject, security: { ...subject.security, privileged: true } } : subject;
}

function withUpdate(subject: PolicySubject, limits: Intent["limits"]): PolicySubject {
  return limits === undefined ? subject : { ...subject, limits: { ...subject.limits, ...limits } };
}

/** As the probes find it now. Where it is not usable the probe's finding is the answer: a floor must not be argued about with what is not there. */
async function boundaryOf(kind: BoundaryKind, engine: Engine, call: Call): Promise<BoundaryIdentity> {
  const [report] = await engine.probe(kind, { fresh: false }, call);
  if (report?.identity !== undefined && report.usable) return report.identity;
  const missing = report?.findings.find(({ level }) => level === "missing");
  throw new Failure("UNAVAILABLE", `${kind} is not usable on this host: ${missing?.what ?? "its probe found it so"}`, {
    ...(missing?.remedy === undefined ? {} : { remedy: missing.remedy }),
  });
}

function describe(request: WorkloadRequest, boundary: BoundaryIdentity, images: Images, imageId?: string): PolicySubject {
  const image = orNothing(() => images.get(imageId ?? request.image));
  return {
    imageNames: [request.image, ...(image === undefined ? [] : [...image.tags, ...image.digests, image.id])],
    imageId: image?.id ?? "",
    labels: allLabels(image?.configuration.labels ?? {}, request.labels),
    boundary,
    network: request.network,
    limits: request.limits,
    hostPaths: request.mounts.flatMap((mount) => (mount.kind === "bind" ? [realPath(mount.source)] : [])),
    security: {
      ...request.security,
      devices: request.security.devices.flatMap(({ hostPath }) => namesOfDevice(hostPath)),
      unmaskedPaths: unmaskedPaths(request.security),
    },
  };
}

/** Undefined where the reference names nothing: then the engine says so, in its own words. */
function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function allLabels(image: Readonly<Record<string, string>>, asked: Readonly<Record<string, string>>): PolicySubject["labels"] {
  const names = new Set([...Object.keys(image), ...Object.keys(asked)]);
  const values = (name: string) => [image, asked].flatMap((labels) => (Object.hasOwn(labels, name) ? [labels[name] ?? ""] : []));
  return Object.fromEntries([...names].map((name) => [name, values(name)]));
}

/** Without what is hidden or read-only by default, where the request gives lists of its own. */
function unmaskedPaths({ privileged, maskedPaths, readOnlyPaths }: WorkloadRequest["security"]): string[] {
  if (privileged) return [...MASKED, ...READ_ONLY];
  const hidden = maskedPaths ?? MASKED;
  const kept = readOnlyPaths ?? READ_ONLY;
  return [...MASKED.filter((path) => !hidden.includes(path)), ...READ_ONLY.filter((path) => !kept.includes(path) && !hidden.includes(path))];
}

/** As asked for, with links resolved, and what the kernel calls the device of that number: an alias is the same device. */
function namesOfDevice(path: string): string[] {
  const names = [path, realPath(path)];
  try {
    const status = statSync(path);
    const kind = status.isBlockDevice() ? "block" : "char";
    const [major, minor] = [(status.rdev >> 8) & 0xfff, (status.rdev & 0xff) | ((status.rdev >> 12) & 0xfff00)];
    const name = /^DEVNAME=(.+)$/m.exec(readFileSync(`/sys/dev/${kind}/${major}:${minor}/uevent`, "utf8"))?.[1];
    if (name !== undefined) names.push(`/dev/${name}`);
  } catch {
    // No device, or one that the kernel has no name for: the driver refuses the first, and the second has no other name.
  }
  return names;
}

/** With links resolved as far as the path exists; what is made later is made below that. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realPath(above), basename(path));
  }
}
