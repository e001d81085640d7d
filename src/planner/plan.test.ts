import { describe, expect, it } from "vitest";
import { EMULATING, VIRTUALISING } from "../advisor/testkit/hosts.ts";
import { plan, type HostType, type PlannedWorkload } from "./index.ts";

const GIB = 1024 ** 3;
const hostType: HostType = { name: "test", cpus: 16, memoryBytes: 65 * GIB, diskBytes: 500e9, pricePerMonth: 120, reservedMemoryBytes: GIB };
const web: PlannedWorkload = { name: "web", count: 200, requirements: { trust: "own", size: { memoryBytes: 256 * 1024 ** 2, cpus: 0.25 } } };
const strangers: PlannedWorkload = {
  name: "strangers",
  count: 100,
  requirements: { trust: "untrusted", tenancy: "multi", size: { memoryBytes: 64 * 1024 ** 2, cpus: 0.1 } },
};
const behind = (made: ReturnType<typeof plan>, boundary: string) => made.boundaries.find((one) => one.boundary === boundary);

describe("a plan", () => {
  it("counts hosts by what runs out first, and says what is left and what it costs", () => {
    const made = plan({ workloads: [web], hostType, host: VIRTUALISING });
    // 63 by processors (0.2525 each with a container's percent), 246 by memory.
    expect(behind(made, "container")?.fleet).toEqual({
      hosts: 4,
      hostsAtLeast: 4,
      costPerMonth: 480,
      runsOutFirst: "cpu",
      headroomPercent: { memory: expect.closeTo(79.81, 2), cpu: expect.closeTo(21.1, 0), disk: 100 },
      blastRadius: { kernel: 63, host: 63 },
    });
  });

  it("tells a kernel's blast radius from a host's", () => {
    const made = plan({ workloads: [web], hostType, host: VIRTUALISING });
    expect(behind(made, "microvm")?.fleet?.blastRadius).toEqual({ kernel: 1, host: 60 });
    expect(behind(made, "gvisor")?.fleet?.blastRadius.kernel).toBeGreaterThan(50);
  });

  it("puts each workload behind the cheapest boundary that meets its requirements", () => {
    const made = plan({ workloads: [web, strangers], hostType, host: VIRTUALISING });
    const assigned = Object.fromEntries((made.mixed?.assignments ?? []).map(({ workload, boundary }) => [workload, boundary]));
    expect(assigned["web"]).toBe("container");
    expect(assigned["strangers"]).not.toBe("container");
    expect(behind(made, "container")).toMatchObject({ fleet: null, against: [{ workload: "strangers", because: expect.any(String) }] });
    expect(made.mixed?.fleet.hosts).toBeGreaterThanOrEqual(made.mixed?.fleet.hostsAtLeast ?? 0);
  });

  it("is as good as none for whom nothing here is a wall, and says why", () => {
    const needy: PlannedWorkload = { ...strangers, requirements: { ...strangers.requirements, compliance: "hypervisor" } };
    const made = plan({ workloads: [web, needy], hostType, host: EMULATING });
    expect(made).toMatchObject({ mixed: null, unplaced: [{ workload: "strangers", because: expect.stringContaining("emulated") }] });
    expect(plan({ workloads: [web, needy], hostType, host: VIRTUALISING }).unplaced).toEqual([]);
  });

  it("keeps to a boundary that was asked for", () => {
    const made = plan({ workloads: [{ ...web, boundary: "gvisor" }], hostType, host: VIRTUALISING });
    expect(made.mixed?.assignments).toMatchObject([{ boundary: "gvisor" }]);
    expect(behind(made, "container")?.against).toEqual([{ workload: "web", because: "gvisor is asked for" }]);
  });

  it("says that one instance is larger than a host", () => {
    const made = plan({ workloads: [{ ...web, requirements: { size: { memoryBytes: 100 * GIB } } }], hostType, host: VIRTUALISING });
    expect(made.unplaced[0]?.because).toContain("container: it needs 107 GB");
  });

  it("names what it took for granted, and is the same each time", () => {
    const asked = { workloads: [{ name: "silent", count: 3, requirements: {} }], hostType, host: EMULATING };
    expect(plan(asked).assumptions.join("\n")).toMatch(/silent is taken to use 128 MiB[\s\S]*tenth of a processor[\s\S]*1024 MiB[\s\S]*textbooks/);
    expect(plan(asked)).toEqual(plan(asked));
  });

  it("uses what was measured here", () => {
    const measurements = {
      measuredAt: "2026-11-21T00:00:00Z",
      subjects: [{ id: "container", boundary: "container", emulated: false }],
      series: [{ metric: "memory_overhead", subject: "container", unit: "bytes", summary: { n: 5, p50: 2e9 }, command: "bulkhead compare" }],
    };
    const made = plan({ workloads: [web], hostType, host: VIRTUALISING, measurements });
    expect(behind(made, "container")).toMatchObject({
      fleet: { runsOutFirst: "memory" },
      perInstance: { memoryBytes: 2e9, measuredAt: "2026-11-21T00:00:00Z" },
    });
  });
});
