/**
 * `--isolation auto`: the boundary chosen by advice for just this workload, and never one that the operator's policy would refuse. What the
 * workload needs is read from its request, from its label or its image's, in that order of force.
 */

import { advise, merge, privilegesOf, requirementsOfImage, requirementsOfLabel, type Host, type Requirements } from "../advisor/index.ts";
import type { AdviceSource, ChosenIsolation, Identity } from "../api/index.ts";
import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { WorkloadRequest } from "../engine/index.ts";
import { judge, type PolicySubject, type Policy } from "../policy/index.ts";
import type { Images } from "../images/index.ts";

export interface AutoParts {
  readonly advice: AdviceSource;
  readonly images: Images;
  readonly policy: { current(): Promise<Policy> };
  readonly subjectOf: (request: WorkloadRequest) => Promise<PolicySubject | undefined>;
}

/** Rejects UNAVAILABLE where nothing here can meet the needs, DENIED_BY_POLICY where what could is refused. */
export async function chooseForRequest(parts: AutoParts, request: WorkloadRequest, identity: Identity, call: Call): Promise<ChosenIsolation> {
  const { configuration } = parts.images.get(request.image);
  const host = withoutDisk(await parts.advice.describeHost(call), configuration.disk === true);
  const requirements = merge(merge(requirementsOfImage(configuration, host), requirementsOfLabel(request.labels, "the label")), ofRequest(request));
  const measurements = parts.advice.readMeasurements();
  const policy = await parts.policy.current();
  const advice = advise({
    requirements,
    host: { ...host, allowEmulated: policy.allowEmulated === true },
    ...(measurements === undefined ? {} : { measurements }),
  });
  if (advice.ranking.length === 0)
    throw new Failure("UNAVAILABLE", advice.reason, { remedy: "name a boundary with --isolation if you know better, or see `bulkhead advise`" });
  const refusals: string[] = [];
  for (const { boundary } of advice.ranking) {
    const subject = await parts.subjectOf({ ...request, isolation: boundary });
    const violations = subject === undefined ? [] : judge(policy, identity, subject);
    if (violations.length === 0)
      return {
        isolation: boundary,
        because: boundary === advice.recommendation?.boundary ? advice.reason : `the operator's policy refuses ${refusals.join("; ")}`,
      };
    refusals.push(`${boundary} (${violations[0]?.what ?? ""})`);
  }
  throw new Failure("DENIED_BY_POLICY", `the operator's policy refuses every boundary that would do: ${refusals.join("; ")}`, {
    remedy: "see `bulkhead policy check`",
  });
}

/** A whole machine boots a disk: one for an image of layers would have to be made first. */
function withoutDisk(host: Host, disk: boolean): Host {
  if (disk) return host;
  const because = "a whole machine boots a disk, and the image is none";
  return { ...host, boundaries: { ...host.boundaries, vm: { ...host.boundaries.vm, usable: false, because } } };
}

/** What the request itself asks for: it is a fact, and goes before what anybody wrote about it. */
function ofRequest({ limits, security, network, mounts }: WorkloadRequest): Requirements {
  const privileges = privilegesOf({
    privileged: security.privileged,
    capabilitiesAdded: security.capabilitiesAdd,
    hostNamespaces: [...security.hostNamespaces, ...(network === "host" ? ["network"] : [])],
    mounts: mounts.filter((mount) => mount.kind === "bind"),
    devices: security.devices.map(({ hostPath }) => hostPath),
  });
  const size = {
    ...(limits.memoryBytes === undefined || limits.memoryBytes <= 0 ? {} : { memoryBytes: limits.memoryBytes }),
    ...(limits.cpus === undefined || limits.cpus <= 0 ? {} : { cpus: limits.cpus }),
  };
  return { ...(privileges.length === 0 ? {} : { privileges }), ...(Object.keys(size).length === 0 ? {} : { size }) };
}
