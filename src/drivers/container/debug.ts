/**
 * A process beside a container's, with a root of its own. What the container's own processes may do is what it may do: the same configuration, without
 * what belongs to the container's root (its volumes, its devices) and what changes namespaces that it only joins.
 */

import type { Bundle } from "../../contract/driver.ts";
import { Failure } from "../../contract/failure.ts";
import type { GuestProcess } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { RootSource } from "../../contract/spec.ts";
import { placesOf } from "../oci/bundle.ts";
import { readAccounts } from "../oci/image-accounts.ts";
import type { OciConfig, OciSeccomp } from "../oci/oci-config.ts";
import { composeConfig, type ContainerBundle } from "./bundle.ts";

const BECOME_ANYONE: readonly string[] = ["CAP_SETUID", "CAP_SETGID"];
const LOOK_INTO_ANYONE = "CAP_SYS_PTRACE";

export function composeDebug(
  bundle: Bundle,
  held: ContainerBundle,
  given: { readonly process: ProcessSpec; readonly tools: RootSource; readonly seccomp: OciSeccomp | undefined },
): GuestProcess {
  const { process, tools, seccomp } = given;
  if (tools.form !== "directories") throw new Failure("INTERNAL", "The tools for a container were given as no list of directories");
  refuseTracers(held, bundle.workload);
  const places = placesOf(bundle.directory);
  // Users by the container's own names: what is looked at is theirs.
  const accounts = readAccounts(held.spec.root, places.upper);
  const config = composeBeside(held, composeConfig(besideOf(held), process, { files: places, accounts, seccomp }));
  const { uid, gid } = config.process.user;
  return {
    command: [],
    environment: [],
    workingDirectory: "/",
    user: `${uid}:${gid}`,
    additionalGroups: [],
    terminal: process.terminal,
    ...(process.terminalSize === undefined ? {} : { terminalSize: process.terminalSize }),
    stdin: process.stdin,
    capabilities: [],
    noNewPrivileges: true,
    rlimits: held.spec.rlimits,
    init: false,
    ...(held.spec.limits.oomScoreAdjust === undefined ? {} : { oomScoreAdjust: held.spec.limits.oomScoreAdjust }),
    tools: { lower: tools.layers, config },
  };
}

/** The runtime is seen by the workload before it has left the host's files behind, and is closed to all but who may trace on the host: this one may. */
function refuseTracers({ spec: { security }, ownIds }: ContainerBundle, workload: string): void {
  if (ownIds === true || security.privileged || !security.capabilities.includes(LOOK_INTO_ANYONE)) return;
  throw new Failure("UNSUPPORTED", `A container with the host's ids and ${LOOK_INTO_ANYONE} could take over what prepares a debug session beside it`, {
    workload,
    boundary: "container",
    remedy: "Run it without --userns=host, or run what its own image has: `bulkhead exec -it WORKLOAD sh`.",
  });
}

function besideOf(held: ContainerBundle): ContainerBundle {
  const { spec } = held;
  const security = { ...spec.security, readOnlyRoot: false, capabilities: grantSight(held) };
  return { ...held, devices: [], spec: { ...spec, mounts: [], init: false, sysctls: {}, security } };
}

/**
 * To look into processes of another user than root. Only where root may become that user anyway, and where the namespace of users that it holds in is the
 * container's own.
 */
function grantSight({ spec, ownIds }: ContainerBundle): readonly string[] {
  const { capabilities } = spec.security;
  const may = ownIds === true && BECOME_ANYONE.every((name) => capabilities.includes(name)) && !capabilities.includes(LOOK_INTO_ANYONE);
  return may ? [...capabilities, LOOK_INTO_ANYONE] : capabilities;
}

/** Names and settings of namespaces are their owner's, and control groups are seen through the container's own root. */
function composeBeside(held: ContainerBundle, whole: OciConfig): OciConfig {
  const { hostname: _, domainname: __, ...config } = whole;
  return {
    ...config,
    mounts: config.mounts.filter(({ type }) => type !== "cgroup"),
    linux: { ...config.linux, sysctl: {}, readonlyPaths: held.spec.security.readOnlyPaths },
  };
}
