import fc from "fast-check";
import { expect, it } from "vitest";
import { VIRTUALISING } from "../advisor/testkit/hosts.ts";
import { type HostType, type PlannedWorkload, planTypes } from "./index.ts";

const GIB = 1024 ** 3;
const type = (name: string, cpus: number, gib: number, pricePerMonth?: number): HostType => ({
  name,
  cpus,
  memoryBytes: gib * GIB,
  diskBytes: 1e12,
  reservedMemoryBytes: 0,
  ...(pricePerMonth === undefined ? {} : { pricePerMonth }),
});
const workload = (name: string, count: number, gib: number, cpus: number): PlannedWorkload => ({
  name,
  count,
  boundary: "container",
  requirements: { trust: "own", size: { memoryBytes: gib * GIB, cpus } },
});
const choose = (workloads: readonly PlannedWorkload[], types: readonly HostType[]) => planTypes({ workloads, host: VIRTUALISING }, types);

it("takes the cheaper of two types that are alike, and plans for it as for one", () => {
  const made = choose([workload("web", 40, 1, 0.5)], [type("dear", 16, 64, 200), type("cheap", 16, 64, 120)]);
  expect(made.hostType.name).toBe("cheap");
  expect(made.hostTypes.each.map(({ hostType, fleet }) => [hostType, fleet?.costPerMonth])).toEqual([
    ["cheap", 240],
    ["dear", 400],
  ]);
  expect(made.hostTypes.cheapest).toMatchObject({ costPerMonth: 240, hosts: [{ hostType: "cheap", count: 2, costPerMonth: 240 }] });
});

it("puts what computes on processors and what remembers on memory, where that costs less than either alone", () => {
  const types = [type("compute", 32, 32, 100), type("memory", 4, 256, 100)];
  const { cheapest, each } = choose([workload("solve", 60, 0.25, 1), workload("cache", 60, 8, 0.05)], types).hostTypes;
  const on = Object.fromEntries((cheapest?.assignments ?? []).map((one) => [one.workload, one.hostType]));
  expect(on).toEqual({ solve: "compute", cache: "memory" });
  expect(cheapest?.hosts).toEqual([
    { hostType: "compute", count: 2, costPerMonth: 200 },
    { hostType: "memory", count: 2, costPerMonth: 200 },
  ]);
  expect(Math.min(...each.map(({ fleet }) => fleet?.costPerMonth ?? Number.POSITIVE_INFINITY))).toBeGreaterThan(400);
  expect(cheapest?.costAtLeast).toBeLessThanOrEqual(400);
});

it("exchanges a host that is not full for a smaller one", () => {
  const { cheapest } = choose([workload("web", 34, 1, 0.5)], [type("large", 16, 64, 100), type("small", 4, 16, 40)]).hostTypes;
  expect(cheapest).toMatchObject({
    costPerMonth: 140,
    hosts: [
      { hostType: "large", count: 1 },
      { hostType: "small", count: 1 },
    ],
  });
});

it("takes a type where there is no other, and none where nothing fits", () => {
  const types = [type("small", 4, 16, 10), type("large", 16, 128, 500)];
  const mixed = choose([workload("huge", 1, 100, 1), workload("tiny", 10, 1, 0.1)], types).hostTypes;
  expect(mixed.cheapest?.assignments.find((one) => one.workload === "huge")?.hostType).toBe("large");
  expect(mixed.each).toMatchObject([{ hostType: "large" }, { hostType: "small", fleet: null }]);
  const impossible = choose([workload("colossal", 1, 1000, 1)], types);
  expect(impossible.hostTypes.cheapest).toBeNull();
  expect(impossible.unplaced).toMatchObject([{ workload: "colossal" }]);
});

it("refuses types without a price and of one name", () => {
  expect(() => choose([workload("web", 1, 1, 1)], [type("a", 4, 16, 10), type("b", 4, 16)])).toThrow(/"b" has no price/);
  expect(() => choose([workload("web", 1, 1, 1)], [type("a", 4, 16, 10), type("a", 8, 32, 20)])).toThrow(/two host types are called "a"/);
});

it("never costs more than the best type alone nor less than is possible, and is the same each time", () => {
  const types = fc.uniqueArray(
    fc.record({ cpus: fc.integer({ min: 2, max: 64 }), gib: fc.integer({ min: 4, max: 256 }), price: fc.integer({ min: 5, max: 900 }) }),
    {
      minLength: 1,
      maxLength: 5,
      selector: ({ cpus, gib }) => `${cpus} ${gib}`,
    },
  );
  const asked = fc.array(fc.record({ count: fc.integer({ min: 1, max: 300 }), gib: fc.integer({ min: 1, max: 8 }), cpus: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(types, asked, (given, wanted) => {
      const hosts = given.map(({ cpus, gib, price }) => type(`${cpus}-${gib}`, cpus, gib, price));
      const workloads = wanted.map(({ count, gib, cpus }, index) => workload(`w${index}`, count, gib, cpus));
      const { each, cheapest } = choose(workloads, hosts).hostTypes;
      const single = Math.min(...each.map(({ fleet }) => fleet?.costPerMonth ?? Number.POSITIVE_INFINITY));
      if (cheapest === null) return single === Number.POSITIVE_INFINITY;
      expect(cheapest.costPerMonth).toBeLessThanOrEqual(single);
      expect(cheapest.costPerMonth).toBeGreaterThanOrEqual(cheapest.costAtLeast - 0.01);
      expect(choose(workloads, hosts).hostTypes.cheapest).toEqual(cheapest);
      return true;
    }),
    { numRuns: 40 },
  );
});
