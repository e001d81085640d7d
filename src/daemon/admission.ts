/** Brings the policy its facts: which workload a request would make or strengthen, behind which boundary, with what of the host. */

import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { AdviceSource, ApiParts, Authorize, Intent } from "../api/index.ts";
import type { BoundaryIdentity } from "../contract/boundary.ts";
import { type Log, plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { Engine, ExecRequest, WorkloadRequest } from "../engine/index.ts";
import { MASKED, READ_ONLY } from "../engine/security.ts";
import { findDevice, findKernelName } from "../host/device-node.ts";
import type { Images, ImageView } from "../images/index.ts";
import { type Identity, judge, OPEN_POLICY, type Policy, type PolicySubject } from "../policy/index.ts";
import { chooseForRequest } from "./auto-isolation.ts";
import { fallBack } from "./fallback.ts";

export interface AdmissionParts {
  readonly engine: Engine;
  readonly images: Images;
  readonly policy: { readonly path: string; current(): Promise<Policy> };
  readonly advice: AdviceSource;
  readonly log: Log;
}

/** What the API asks before it does anything: all three from one policy, and of one description of what is asked for. */
export function createAdmission(parts: AdmissionParts): Pick<ApiParts, "authorize" | "policy" | "chooseIsolation" | "fallBack"> {
  const { policy, images, advice } = parts;
  const describing = (action: string) => (request: WorkloadRequest) => subjectOf({ action, request }, parts);
  return {
    authorize: createAuthorize(parts),
    policy: { current: () => policy.current(), file: policy.path, subjectOf: describing("check") },
    chooseIsolation: (request, identity, call) => chooseForRequest({ advice, images, policy, subjectOf: describing("choose") }, request, identity, call),
    fallBack: (request, identity, call) => fallBack({ engine: parts.engine, policy, subjectOf: describing("fall back") }, request, identity, call),
  };
}

/** Verbs that give a workload life or power. All others look at it, or take it away. */
const STRENGTHENING = new Set([
  "POST /containers/{id}/start",
  "POST /containers/{id}/restart",
  "POST /containers/{id}/unpause",
  "POST /containers/{id}/exec",
  // Files in and out are what an exec could do.
  "GET /containers/{id}/archive",
  "HEAD /containers/{id}/archive",
  "PUT /containers/{id}/archive",
  "POST /containers/{id}/update",
]);

function createAuthorize(parts: Pick<AdmissionParts, "engine" | "images" | "policy" | "log">): Authorize {
  return async (identity, intent) => {
    const judged = intent.request !== undefined || intent.exec !== undefined || intent.limits !== undefined || STRENGTHENING.has(intent.action);
    if (!judged) return;
    const policy = await parts.policy.current();
    if (policy === OPEN_POLICY) return;
    const subject = await subjectOf(intent, parts);
    if (subject === undefined) return; // it names nothing: the engine says so
    refuse(policy, identity, subject, parts.log);
    const tools = intent.exec?.tools;
    if (tools !== undefined) refuse(policy, identity, withTools(subject, tools, parts.images), parts.log);
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
async function subjectOf(intent: Intent, parts: Pick<AdmissionParts, "engine" | "images">): Promise<PolicySubject | undefined> {
  if (intent.request !== undefined) {
    const kind = intent.request.isolation ?? parts.engine.defaultIsolation;
    return describe(intent.request, await parts.engine.demand(kind, intent.request, plainCall()), parts.images);
  }
  const view = intent.subject === undefined ? undefined : orNothing(() => parts.engine.inspect(intent.subject ?? ""));
  if (view === undefined) return undefined;
  const subject = describe(view.request, await parts.engine.demand(view.boundary.kind, view.request, plainCall()), parts.images, view.imageId);
  return withUpdate(withExec(subject, intent.exec), intent.limits);
}

function withExec(subject: PolicySubject, exec: ExecRequest | undefined): PolicySubject {
  return exec?.privileged === true ? { ...subject, security: { ...subject.security, privileged: true } } : subject;
}

/** Tools beside a workload are a run of their image with everything that the workload has. */
function withTools(subject: PolicySubject, tools: string, images: Images): PolicySubject {
  const image = orNothing(() => images.get(tools));
  return { ...subject, ...namesOf(tools, image), labels: allLabels(image?.configuration.labels ?? {}, {}) };
}

function namesOf(asked: string, image: ImageView | undefined): Pick<PolicySubject, "imageNames" | "imageId"> {
  return { imageNames: [asked, ...(image === undefined ? [] : [...image.tags, ...image.digests, image.id])], imageId: image?.id ?? "" };
}

function withUpdate(subject: PolicySubject, limits: Intent["limits"]): PolicySubject {
  return limits === undefined ? subject : { ...subject, limits: { ...subject.limits, ...limits } };
}

function describe(request: WorkloadRequest, boundary: BoundaryIdentity, images: Images, imageId?: string): PolicySubject {
  const image = orNothing(() => images.get(imageId ?? request.image));
  return {
    ...namesOf(request.image, image),
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
  const device = findDevice(path);
  const known = device === undefined ? undefined : findKernelName(device);
  return known === undefined ? names : [...names, known];
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
