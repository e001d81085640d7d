/** Where two rows pull apart: the hard need rules out, and only then does cost decide; and what must hold for any requirements. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wallsOf } from "./abilities.ts";
import { advise } from "./advice.ts";
import { decide } from "./decide.ts";
import type { Measurements } from "./figures.ts";
import { assume, type Host } from "./host.ts";
import type { Requirements } from "./requirements.ts";
import { EMULATING, VIRTUALISING } from "./testkit/hosts.ts";

const measured = (metric: string, subject: string, value: number, unit: string): Measurements["series"][number] => ({
  metric,
  subject,
  unit,
  summary: { n: 30, p50: value },
  command: `time bulkhead run --isolation ${subject} busybox true`,
});

const MEASURED: Measurements = {
  measuredAt: "2026-01-02T03:04:05Z",
  subjects: [
    { id: "container", boundary: "container", emulated: false },
    { id: "gvisor", boundary: "gvisor", emulated: false },
    { id: "microvm", boundary: "microvm", emulated: false },
  ],
  series: [
    measured("startup_to_ready", "container", 0.012, "s"),
    measured("startup_to_ready", "gvisor", 0.11, "s"),
    measured("startup_to_ready", "microvm", 0.2, "s"),
    measured("memory_overhead", "microvm", 30e6, "bytes"),
  ],
};

describe("requirements that pull apart", () => {
  it("a hypervisor is demanded and hundreds are wanted: containers of one tenant share its machine", () => {
    const requirements: Requirements = { trust: "own", tenancy: "multi", compliance: "hypervisor", budgets: { instancesPerHost: 300 } };
    expect(advise({ requirements, host: VIRTUALISING }).recommendation?.nesting).toEqual(["microvm", "container"]);
  });

  it("untrusted code that must start fast goes behind the wall that starts fast enough, as measured here", () => {
    const requirements: Requirements = { trust: "untrusted", budgets: { startupMs: 150 } };
    const advice = advise({ requirements, host: VIRTUALISING, measurements: MEASURED });
    expect(advice.recommendation?.boundary).toBe("gvisor");
    expect(advice.ruledOut.find(({ boundary }) => boundary === "microvm")).toMatchObject({ rule: "budget-startup" });
  });

  it("two hosts with other series get other answers", () => {
    const requirements: Requirements = { trust: "untrusted", budgets: { startupMs: 150 } };
    const faster = { ...MEASURED, series: [...MEASURED.series.slice(0, 2), measured("startup_to_ready", "microvm", 0.04, "s")] };
    expect(advise({ requirements, host: VIRTUALISING, measurements: faster }).recommendation?.boundary).toBe("microvm");
  });

  it("figures of an emulated machine say nothing about an assumed host with virtualisation", () => {
    const emulated = { ...MEASURED, subjects: MEASURED.subjects.map((subject) => (subject.id === "microvm" ? { ...subject, emulated: true } : subject)) };
    const host = assume(EMULATING, ["kvm=yes"]);
    const advice = advise({ requirements: { trust: "untrusted" }, host, measurements: emulated });
    expect(advice.recommendation?.boundary).toBe("microvm");
    expect(advice.evidence.find(({ boundary, metric }) => boundary === "microvm" && metric === "startup_to_ready")?.measuredAt).toBeNull();
  });

  it("without virtualisation it says what would change with it", () => {
    const advice = advise({ requirements: { trust: "untrusted" }, host: EMULATING });
    expect(advice.runnerUp).toEqual({ boundary: "microvm", wouldWinIf: expect.stringContaining("KVM") });
    expect(advice.mitigations.map(({ id }) => id)).toContain("loss-against-a-machine");
  });

  it("an emulated machine is a wall where the policy says so, and the advice says that it did", () => {
    const advice = advise({ requirements: { compliance: "hypervisor" }, host: { ...EMULATING, allowEmulated: true } });
    expect(advice.recommendation?.boundary).toBe("microvm");
    expect(advice.assumptions.map(({ field }) => field)).toContain("allowEmulated");
    expect(advice.reason).toMatch(/emulated/);
  });

  it("the host's engine socket is replaced by an engine of its own inside the machine", () => {
    const advice = advise({ requirements: { trust: "partner", privileges: ["docker.sock"] }, host: VIRTUALISING });
    expect(advice.recommendation?.nesting).toEqual(["microvm", "container"]);
    expect(advice.mitigations.map(({ id }) => id)).toContain("own-engine-inside");
  });

  it("each boundary that is not recommended is ruled out by name or ranked behind", () => {
    const advice = advise({ requirements: { trust: "untrusted" }, host: VIRTUALISING });
    const named = new Set([...advice.ruledOut.map(({ boundary }) => boundary), ...advice.ranking.map(({ boundary }) => boundary)]);
    expect([...named].toSorted()).toEqual(["container", "gvisor", "microvm", "vm", "wasm"]);
  });

  it("nothing said is assumed in silence", () => {
    const { assumptions } = advise({ requirements: {}, host: VIRTUALISING });
    expect(assumptions.map(({ field }) => field)).toEqual(expect.arrayContaining(["trust", "tenancy", "compliance", "artifact", "weights", "measurements"]));
    expect(advise({ requirements: { trust: "own" }, host: VIRTUALISING }).assumptions.map(({ field }) => field)).not.toContain("trust");
  });

  it("weights are the user's: who pays for nothing but walls gets the strongest that is left", () => {
    const requirements: Requirements = { trust: "partner", tenancy: "single", weights: { security: 1, speed: 0, cost: 0 } };
    expect(advise({ requirements, host: VIRTUALISING }).recommendation?.boundary).toMatch(/microvm|vm/);
  });
});

const requirementsArbitrary: fc.Arbitrary<Requirements> = fc.record(
  {
    trust: fc.constantFrom("own", "partner", "untrusted"),
    tenancy: fc.constantFrom("single", "multi"),
    artifact: fc.constantFrom("oci-image", "disk-image", "wasm-module"),
    compliance: fc.constantFrom("none", "kernel-separation", "hypervisor", "confidential"),
    state: fc.constantFrom("stateless", "volume", "pet"),
    lifetime: fc.constantFrom("milliseconds", "seconds", "hours", "months"),
    initSystem: fc.boolean(),
    gpu: fc.constantFrom("none", "shared", "whole"),
    nested: fc.constantFrom("none", "docker", "virtual-machine"),
    guest: fc.record({ os: fc.constantFrom("linux", "windows", "freebsd"), architecture: fc.constantFrom("amd64", "arm64", "any") }, { requiredKeys: [] }),
    kernel: fc.record({ own: fc.boolean(), ebpf: fc.boolean(), realtime: fc.boolean(), version: fc.constantFrom(">=6.8", "4.19.x") }, { requiredKeys: [] }),
    budgets: fc.record({ startupMs: fc.integer({ min: 1, max: 60_000 }), instancesPerHost: fc.integer({ min: 1, max: 5000 }) }, { requiredKeys: [] }),
    privileges: fc.array(fc.constantFrom("privileged", "docker.sock", "CAP_NET_RAW", "host-network", "device:/dev/fuse", "host-path:/proc")),
    weights: fc.record({ security: fc.constantFrom(0, 1, 5), speed: fc.constantFrom(0, 1, 5), cost: fc.constantFrom(0, 1, 5) }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Requirements>;

const hostArbitrary: fc.Arbitrary<Host> = fc
  .subarray(["kvm=yes", "gpu=yes", "realtime=yes", "nested=yes", "sev-snp=yes", "runsc=no", "wasm=no"])
  .map((words) => assume(EMULATING, words));

const ruledOut = (requirements: Requirements, host: Host): Set<string> => new Set(decide({ requirements, host }).ruledOut.map(({ boundary }) => boundary));

describe("whatever is asked", () => {
  it("the same question gets the same answer", () => {
    fc.assert(
      fc.property(requirementsArbitrary, hostArbitrary, (requirements, host) => {
        expect(advise({ requirements, host })).toEqual(advise({ requirements: structuredClone(requirements), host }));
      }),
    );
  });

  it("a further demand never lets in what was ruled out", () => {
    const demands: readonly Requirements[] = [
      { compliance: "confidential" },
      { gpu: "whole" },
      { nested: "virtual-machine" },
      { kernel: { own: true, ebpf: true, realtime: true, version: ">=6.8" } },
      { size: { memoryBytes: 1e11 } },
    ];
    fc.assert(
      fc.property(requirementsArbitrary, hostArbitrary, fc.constantFrom(...demands), (requirements, host, demand) => {
        const known = Object.keys(demand).some((key) => key in requirements);
        if (known) return;
        const before = ruledOut(requirements, host);
        const after = ruledOut({ ...requirements, ...demand }, host);
        expect([...before].filter((boundary) => !after.has(boundary))).toEqual([]);
      }),
    );
  });

  it("a stronger demand of security never takes a wall away from what is recommended", () => {
    const STRONGER: readonly ((given: Requirements) => Requirements)[] = [
      (given) => ({ ...given, trust: "untrusted" }),
      (given) => ({ ...given, tenancy: "multi" }),
      (given) => ({ ...given, compliance: given.compliance === "confidential" ? "confidential" : "hypervisor" }),
    ];
    fc.assert(
      fc.property(requirementsArbitrary, hostArbitrary, fc.constantFrom(...STRONGER), (requirements, host, stronger) => {
        const before = decide({ requirements, host }).ranked[0]?.candidate;
        const after = decide({ requirements: stronger(requirements), host }).ranked[0]?.candidate;
        if (before === undefined || after === undefined) return;
        expect(wallsOf(after)).toEqual(expect.arrayContaining([...wallsOf(before)]));
      }),
      { numRuns: 500 },
    );
  });

  it("what is recommended is never ruled out, and can be run on that host", () => {
    fc.assert(
      fc.property(requirementsArbitrary, hostArbitrary, (requirements, host) => {
        const { recommendation } = advise({ requirements, host });
        if (recommendation === null) return;
        expect(host.boundaries[recommendation.boundary].usable).toBe(true);
      }),
    );
  });
});
