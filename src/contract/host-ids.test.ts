import { expect, it } from "vitest";
import type { BoundaryIdentity, BoundaryTraits } from "./boundary.ts";
import { identityFor, type IdsWish } from "./host-ids.ts";

const identity: BoundaryIdentity = { kind: "container", engine: "crun", version: "1", emulated: false, traits: ["not-emulated", "user-namespace"] };
const traits: BoundaryTraits = { kernel: "host", hardwareEnforced: false, rootForm: "directories", hostNetwork: true, hostPaths: "mount" };
const plain: IdsWish = { security: { privileged: false, hostNamespaces: [] }, network: "bridge", mounts: [{ kind: "bind", propagation: "rslave" }] };
const traitsOf = (change: Partial<IdsWish>, kernel: BoundaryTraits["kernel"] = "host") =>
  identityFor(identity, { ...traits, kernel }, { ...plain, ...change }).traits;

it("a workload has ids of its own unless it asks for something of the host's that they do not go with", () => {
  expect(traitsOf({})).toContain("user-namespace");
  expect(traitsOf({ security: { privileged: false, hostNamespaces: ["uts"] } })).toContain("user-namespace");
  for (const change of [
    { security: { privileged: true, hostNamespaces: [] } },
    ...["user", "pid", "ipc", "cgroup"].map((namespace) => ({ security: { privileged: false, hostNamespaces: [namespace] } })),
    { network: "host" },
    { network: { kind: "host" } },
    { mounts: [{ kind: "bind", propagation: "rshared" }] },
    { mounts: [{ kind: "bind", propagation: "shared" }] },
  ])
    expect(traitsOf(change)).toEqual(["not-emulated", "host-ids"]);
});

it("behind another kernel than the host's nothing is given up, and a host that has no user namespaces gives none", () => {
  expect(traitsOf({ security: { privileged: true, hostNamespaces: [] } }, "own")).toContain("user-namespace");
  expect(traitsOf({ security: { privileged: true, hostNamespaces: [] } }, "user-space")).toContain("user-namespace");
  expect(traitsOf({ security: { privileged: false, hostNamespaces: ["user"] } }, "user-space")).toContain("host-ids");
  expect(identityFor({ ...identity, traits: ["host-ids"] }, traits, plain).traits).toEqual(["host-ids"]);
});
