import { expect, test } from "vitest";
import { advise } from "./advice.ts";
import { EMULATING, VIRTUALISING } from "./testkit/hosts.ts";
import { requirementsOfWorkload, type WorkloadFacts } from "./workload.ts";

const PLAIN: WorkloadFacts = {
  name: "web",
  privileged: false,
  capabilitiesAdded: [],
  hostNamespaces: [],
  mounts: [],
  devices: [],
  sysctls: {},
  memoryBytes: 0,
  cpus: 0,
  labels: {},
};

test("a plain workload asks for no privilege, and nothing else is guessed", () => {
  expect(requirementsOfWorkload(PLAIN)).toEqual({ name: "web", privileges: [] });
});

test("privileges, host paths, devices, limits and kernel-wide settings are read; what belongs to a namespace is not", () => {
  const facts = {
    ...PLAIN,
    privileged: true,
    capabilitiesAdded: ["NET_ADMIN"],
    hostNamespaces: ["pid"],
    mounts: [{ source: "/var/run/docker.sock" }, { source: "/srv/data" }, { source: "named" }, { source: "" }],
    devices: ["/dev/fuse"],
    sysctls: { "net.ipv4.ip_forward": "1", "vm.swappiness": "10" },
    memoryBytes: 1 << 20,
    cpus: 0.5,
  };
  expect(requirementsOfWorkload(facts)).toEqual({
    name: "web",
    privileges: ["privileged", "CAP_NET_ADMIN", "host-pid", "docker.sock", "host-path:/srv/data", "device:/dev/fuse"],
    state: "volume",
    size: { memoryBytes: 1 << 20, cpus: 0.5 },
    kernel: { sysctls: ["vm.swappiness"] },
  });
});

test("an engine's socket is no state, and its owner's code belongs in a machine", () => {
  const needs = requirementsOfWorkload({ ...PLAIN, mounts: [{ source: "/run/docker.sock" }] });
  expect(needs.state).toBeUndefined();
  const { recommendation } = advise({ requirements: { ...needs, trust: "partner" }, host: VIRTUALISING });
  expect(recommendation).toMatchObject({ boundary: "microvm", nesting: ["microvm", "container"] });
});

test("the label goes before what is guessed, and one that is no requirement is refused by the workload's name", () => {
  const labels = { "dev.bulkhead.requirements": '{"trust": "untrusted", "state": "stateless"}' };
  const needs = requirementsOfWorkload({ ...PLAIN, mounts: [{ source: "data" }], labels });
  expect(needs).toMatchObject({ trust: "untrusted", state: "stateless" });
  expect(advise({ requirements: needs, host: EMULATING }).recommendation?.boundary).toBe("gvisor");
  expect(() => requirementsOfWorkload({ ...PLAIN, labels: { "dev.bulkhead.requirements": "{" } })).toThrow("the label of web");
});
