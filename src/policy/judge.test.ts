import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Demands, Policy, PolicyRule } from "./document.ts";
import { type Identity, judge } from "./judge.ts";
import { FLOOR_NAMES } from "./traits.ts";
import type { PolicySubject } from "./subject.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const STRANGER: Identity = { pid: 1, uid: 1000, gid: 1000, groups: [1000, 27], socket: "/run/untrusted.sock" };
const CONTAINER: PolicySubject["boundary"] = { kind: "container", engine: "crun", version: "1.8.1", emulated: false, traits: ["not-emulated"] };
const MACHINE: PolicySubject["boundary"] = {
  kind: "microvm",
  engine: "qemu",
  version: "7.2",
  emulated: false,
  traits: ["separate-kernel", "own-kernel", "hardware-enforced", "not-emulated"],
};
const EMULATED = { ...MACHINE, emulated: true, traits: ["own-kernel"] };
const PLAIN: PolicySubject = {
  imageNames: ["registry.example/app:1", DIGEST],
  imageId: DIGEST,
  labels: { tenant: ["acme"] },
  boundary: CONTAINER,
  network: "bridge",
  limits: {},
  hostPaths: [],
  security: { privileged: false, capabilitiesAdd: [], hostNamespaces: [], devices: [], unmaskedPaths: [] },
};
const with_ = (over: Partial<PolicySubject>): PolicySubject => ({ ...PLAIN, ...over });
const secured = (over: Partial<PolicySubject["security"]>): PolicySubject => with_({ security: { ...PLAIN.security, ...over } });
const policy = (demands: Demands & { readonly allowEmulated?: boolean; readonly rules?: readonly PolicyRule[] }): Policy => ({ schemaVersion: 1, ...demands });
const what = (given: Policy, subject: PolicySubject, identity = STRANGER): string =>
  judge(given, identity, subject)
    .map((one) => `${one.rule}: ${one.what}`)
    .join("\n");

describe("floors", () => {
  it("are sets of traits, and names of boundaries are shorthand", () => {
    expect(what(policy({ floor: ["microvm"] }), PLAIN)).toMatch(/container \(crun\) lacks separate-kernel/);
    expect(what(policy({ floor: ["microvm"] }), with_({ boundary: MACHINE }))).toBe("");
    expect(what(policy({ floor: ["container"] }), PLAIN)).toBe("");
    expect(what(policy({ floor: ["gvisor"] }), with_({ boundary: MACHINE }))).toMatch(/lacks user-space-kernel/);
  });

  it("are not met by an emulated machine unless the operator says so", () => {
    expect(what(policy({ floor: ["microvm"] }), with_({ boundary: EMULATED }))).toMatch(/microvm \(qemu, emulated\) lacks separate-kernel/);
    expect(what(policy({ floor: ["microvm"], allowEmulated: true }), with_({ boundary: EMULATED }))).toBe("");
  });

  it("ask for a least version of an engine", () => {
    const demand = policy({ minimumVersions: { crun: "1.14", runsc: "20240408" } });
    expect(what(demand, PLAIN)).toMatch(/crun is 1\.8\.1, and at least 1\.14/);
    expect(what(demand, with_({ boundary: { ...CONTAINER, version: "1.14.1" } }))).toBe("");
    expect(what(demand, with_({ boundary: { ...CONTAINER, engine: "runsc", version: "0.0~20221219.0" } }))).toMatch(/runsc is/);
    expect(what(demand, with_({ boundary: { ...CONTAINER, engine: "runsc", version: "release-20240409.0" } }))).toBe("");
    expect(what(demand, with_({ boundary: { ...CONTAINER, version: "" } }))).toMatch(/unknown version/);
  });
});

describe("forbidden privileges", () => {
  it.each<[string, PolicySubject]>([
    ["privileged", secured({ privileged: true })],
    ["host-network", with_({ network: "host" })],
    ["host-pid", secured({ hostNamespaces: ["pid"] })],
    ["host-user", secured({ hostNamespaces: ["user"] })],
    ["capability", secured({ capabilitiesAdd: ["NET_RAW"] })],
    ["capability:SYS_ADMIN", secured({ capabilitiesAdd: ["CAP_SYS_ADMIN"] })],
    ["capability:CAP_SYS_ADMIN", secured({ capabilitiesAdd: ["sys_admin"] })],
    ["capability:SYS_ADMIN", secured({ capabilitiesAdd: ["ALL"] })],
    ["capability:SYS_ADMIN", secured({ privileged: true })],
    ["device", secured({ devices: ["/dev/fuse"] })],
    ["device", secured({ privileged: true })],
    ["device:/dev/mem", secured({ devices: ["/proc/self/root/dev/mem", "/dev//mem"] })],
    ["host-path", with_({ hostPaths: ["/srv"] })],
    ["host-path:/etc", with_({ hostPaths: ["/etc/shadow"] })],
    ["host-path:/etc", with_({ hostPaths: ["/"] })],
    ["host-path:/etc", with_({ hostPaths: ["/var/../etc/./ssh"] })],
    ["api-socket", with_({ hostPaths: ["/run/docker.sock"] })],
    ["api-socket", with_({ hostPaths: ["/srv/socks/bulkhead.sock"] })],
    ["api-socket", with_({ hostPaths: ["/run"] })],
    ["api-socket", with_({ hostPaths: ["/"] })],
    ["seccomp-unconfined", secured({ seccomp: "unconfined" })],
    ["seccomp-custom", secured({ seccomp: { profile: "{}" } })],
    ["apparmor-unconfined", secured({ appArmor: "unconfined" })],
    ["apparmor-custom", secured({ appArmor: "some-weak-profile" })],
    ["api-socket", with_({ hostPaths: ["/var/run/docker"] })],
    ["unmasked-paths", secured({ unmaskedPaths: ["/proc/kcore"] })],
  ])("%s is found", (name, subject) => {
    expect(what(policy({ forbid: [name] }), subject)).toContain(`${name} is forbidden`);
  });

  it("are not found in a plain workload", () => {
    const all = [
      "privileged",
      "host-network",
      "host-pid",
      "capability",
      "device",
      "host-path",
      "api-socket",
      "seccomp-unconfined",
      "apparmor-unconfined",
      "seccomp-custom",
      "apparmor-custom",
      "unmasked-paths",
    ];
    expect(what(policy({ forbid: all }), PLAIN)).toBe("");
    expect(what(policy({ forbid: ["apparmor-custom"] }), secured({ appArmor: "" }))).toBe("");
    expect(what(policy({ forbid: ["apparmor-custom"] }), secured({ appArmor: "unconfined" }))).toBe("");
    expect(what(policy({ forbid: ["host-path:/etc", "api-socket"] }), with_({ hostPaths: ["/etcetera", "/srv/data"] }))).toBe("");
    expect(what(policy({ forbid: ["capability:SYS_ADMIN"] }), secured({ capabilitiesAdd: ["NET_ADMIN"] }))).toBe("");
  });
});

describe("limits that must be set", () => {
  it("are missing where they are absent, zero or without end", () => {
    const demand = policy({ requireLimits: ["memory", "pids"] });
    expect(what(demand, PLAIN)).toMatch(/memory must be set\n.*pids must be set/);
    expect(what(demand, with_({ limits: { memoryBytes: 0, pids: -1 } }))).toMatch(/memory must be set\n.*pids must be set/);
    expect(what(demand, with_({ limits: { memoryBytes: 1e8, pids: 100 } }))).toBe("");
  });
});

describe("rules", () => {
  const rule = (over: Partial<PolicyRule>): Policy => policy({ rules: [{ name: "r", floor: ["microvm"], ...over }] });
  it.each<[string, PolicyRule["match"]]>([
    ["an image by pattern", { image: ["registry.example/*"] }],
    ["an image by any of its names", { image: [DIGEST] }],
    ["a registry", { registry: ["registry.example"] }],
    ["a label", { label: { tenant: "ac*" } }],
    ["a uid", { uid: [1000] }],
    ["a further group", { gid: [27] }],
    ["a socket", { socket: ["/run/untrusted.sock"] }],
    ["all of them", { image: ["*app*"], uid: [1000], label: { tenant: "*" } }],
  ])("match %s", (_, match) => {
    expect(what(rule({ ...(match === undefined ? {} : { match }) }), PLAIN)).toMatch(/^r: /);
  });

  it.each<[string, PolicyRule["match"]]>([
    ["another image", { image: ["other/*"] }],
    ["another registry", { registry: ["docker.io"] }],
    ["another label", { label: { tenant: "b*" } }],
    ["a label that is inherited from nowhere", { label: { toString: "*" } }],
    ["another uid", { uid: [0] }],
    ["only some of what is asked", { uid: [1000], image: ["other/*"] }],
  ])("do not match %s", (_, match) => {
    expect(what(rule({ ...(match === undefined ? {} : { match }) }), PLAIN)).toBe("");
  });

  it("leave out who cannot be imitated: a digest, a uid, a group, a socket", () => {
    expect(what(rule({ except: { digest: [DIGEST] } }), PLAIN)).toBe("");
    expect(what(rule({ except: { gid: [27] } }), PLAIN)).toBe("");
    expect(what(rule({ except: { uid: [0] } }), PLAIN)).toMatch(/^r: /);
    // Its name is not its identity: another image of that name is not excepted.
    expect(what(rule({ except: { digest: [DIGEST] } }), with_({ imageId: `sha256:${"b".repeat(64)}` }))).toMatch(/^r: /);
  });

  it("take long patterns in linear time", () => {
    const name = `registry.example/${"a".repeat(5000)}`;
    expect(what(rule({ match: { image: [`${"*a".repeat(200)}*b`] } }), with_({ imageNames: [name] }))).toBe("");
  });
});

const demandsArbitrary: fc.Arbitrary<Demands> = fc.record(
  {
    floor: fc.subarray([...FLOOR_NAMES]),
    forbid: fc.subarray(["privileged", "host-network", "capability", "capability:SYS_ADMIN", "host-path:/etc", "api-socket", "device"]),
    requireLimits: fc.subarray(["memory", "cpus", "pids", "disk"] as const),
    minimumVersions: fc.constantFrom({}, { crun: "1.9" }, { qemu: "8" }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Demands>;

const subjectArbitrary: fc.Arbitrary<PolicySubject> = fc.record({
  imageNames: fc.subarray(["registry.example/app:1", "busybox:latest", DIGEST], { minLength: 1 }),
  imageId: fc.constant(DIGEST),
  labels: fc.dictionary(fc.constantFrom("tenant", "floor", "exempt"), fc.constantFrom(["acme"], ["none", "acme"], ["true"])),
  boundary: fc.constantFrom(CONTAINER, MACHINE, EMULATED),
  network: fc.constantFrom("bridge", "host", "none"),
  limits: fc.record({ memoryBytes: fc.constantFrom(0, 1e8), pids: fc.constantFrom(-1, 10) }, { requiredKeys: [] }),
  hostPaths: fc.subarray(["/", "/etc/x", "/srv", "/run/docker.sock"]),
  security: fc.record({
    privileged: fc.boolean(),
    capabilitiesAdd: fc.subarray(["ALL", "CAP_SYS_ADMIN", "NET_RAW"]),
    hostNamespaces: fc.subarray(["pid", "user"]),
    devices: fc.subarray(["/dev/kvm"]),
    unmaskedPaths: fc.subarray(["/proc/kcore"]),
  }),
});

const joined = (left: PolicySubject["labels"], right: PolicySubject["labels"]): PolicySubject["labels"] =>
  Object.fromEntries([...Object.keys(left), ...Object.keys(right)].map((name) => [name, [...(left[name] ?? []), ...(right[name] ?? [])]]));

describe("whatever the policy", () => {
  it("a further demand, for all or by a rule, never lets more through", () => {
    fc.assert(
      fc.property(demandsArbitrary, demandsArbitrary, subjectArbitrary, (demands, more, subject) => {
        const before = judge(policy(demands), STRANGER, subject);
        const after = judge(policy({ ...demands, rules: [{ name: "more", ...more }] }), STRANGER, subject);
        expect(after.slice(0, before.length)).toEqual(before);
      }),
    );
  });

  it("no label that a caller adds takes a demand away", () => {
    const rules: readonly PolicyRule[] = [
      { name: "all", forbid: ["privileged"] },
      { name: "tenants", match: { label: { tenant: "*" } }, floor: ["microvm"] },
    ];
    fc.assert(
      fc.property(subjectArbitrary, fc.dictionary(fc.constantFrom("tenant", "x"), fc.array(fc.string())), (subject, labels) => {
        const before = judge(policy({ rules }), STRANGER, subject).length;
        expect(judge(policy({ rules }), STRANGER, { ...subject, labels: joined(subject.labels, labels) }).length).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  it("a machine that is really one meets what an emulated one meets", () => {
    fc.assert(
      fc.property(demandsArbitrary, subjectArbitrary, (demands, subject) => {
        const emulated = judge(policy(demands), STRANGER, { ...subject, boundary: EMULATED }).length;
        expect(judge(policy(demands), STRANGER, { ...subject, boundary: MACHINE }).length).toBeLessThanOrEqual(emulated);
      }),
    );
  });
});
