import fc from "fast-check";
import { expect, it } from "vitest";
import { type Group, pack, RESOURCES, sum } from "./packing.ts";

const capacity = { memory: 64, cpu: 16, disk: 100 };
const group = (id: string, count: number, memory: number, cpu = 0): Group => ({ id, count, needs: { memory, cpu, disk: 0 }, sharesKernel: true });

it("puts as many on a host as its scarcest resource allows", () => {
  expect(pack([group("a", 100, 1, 1)], capacity)).toMatchObject({ hosts: 7, atLeast: 7, mostOnOne: 16 });
  expect(pack([group("a", 64, 1, 0.1)], capacity)).toMatchObject({ hosts: 1, atLeast: 1, mostOnOne: 64 });
});

it("fills what large ones leave with small ones", () => {
  expect(pack([group("large", 2, 40), group("small", 6, 8)], capacity)).toMatchObject({ hosts: 2, atLeast: 2, mostOnOne: 4 });
});

it("counts a million as easily as one", () => {
  expect(pack([group("a", 1_000_000, 1), group("b", 1_000_000, 3)], capacity)).toMatchObject({ hosts: 62_500, atLeast: 62_500 });
});

it("says that one is too large", () => expect(pack([group("a", 1, 65)], capacity)).toBeUndefined());

it("needs no host for nothing", () => expect(pack([], capacity)).toMatchObject({ hosts: 0, atLeast: 0, mostOnOne: 0 }));

it("counts apart who shares the host's kernel", () => {
  const apart = { ...group("machines", 4, 8), sharesKernel: false };
  expect(pack([group("containers", 2, 8), apart], capacity)).toMatchObject({ hosts: 1, mostOnOne: 6, mostSharing: 2 });
});

it("never puts more on hosts than they have, never loses an instance, and is never below what is possible nor far above", () => {
  const amounts = fc.record({ memory: fc.integer({ min: 1, max: 64 }), cpu: fc.integer({ min: 0, max: 16 }), disk: fc.integer({ min: 0, max: 100 }) });
  const groups = fc.array(fc.record({ id: fc.uuid(), count: fc.integer({ min: 1, max: 500 }), needs: amounts, sharesKernel: fc.boolean() }), { maxLength: 12 });
  fc.assert(
    fc.property(groups, (asked) => {
      const packed = pack(asked, capacity);
      if (packed === undefined) throw new Error("each of them fits alone");
      expect(packed.used).toEqual(sum(asked));
      expect(packed.hosts).toBeGreaterThanOrEqual(packed.atLeast);
      for (const resource of RESOURCES) expect(packed.used[resource]).toBeLessThanOrEqual(packed.hosts * capacity[resource] + 1e-6);
      // First fit for d resources: at most d + 7/10 times the best (Garey, Graham, Johnson, Yao, 1976).
      expect(packed.hosts).toBeLessThanOrEqual(3.7 * Math.max(1, packed.atLeast) + 1);
      expect(pack([...asked].toReversed(), capacity)).toEqual(packed);
    }),
  );
});
