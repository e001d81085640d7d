import { expect, it } from "vitest";
import { measureMemory, type MeasureOptions } from "./measures.ts";
import type { Subject } from "./subject.ts";

const options: MeasureOptions = { command: ["true"], starts: 1, execs: 1, gauges: 0, furtherGauges: 0, memories: 2, tenths: 3, instances: 4 };

/** Each instance takes `each` bytes of memory and disk, and the first also what is shared. */
function standing(each: number, shared: number): Subject & { readonly most: () => number; readonly left: () => number } {
  let alive = 0;
  let most = 0;
  return {
    description: { id: "fake", engine: "", version: "", emulated: false },
    start: () => Promise.resolve({ exit: 0 }),
    idle(count) {
      alive += count;
      most = Math.max(most, alive);
      const stop = (): Promise<void> => {
        alive -= count;
        return Promise.resolve();
      };
      return Promise.resolve({ ids: [], stop });
    },
    pss: () => new Map([[1, alive * each]]),
    diskBytes: () => (alive === 0 ? 0 : shared) + alive * each,
    command: (metric) => `measure ${metric}`,
    close: () => Promise.resolve(),
    most: () => most,
    left: () => alive,
  };
}

it("gives what instances add to memory and disk, each, and what the tenth adds beside nine on the same base", async () => {
  const subject = standing(1000, 8000);
  const [memory, tenth] = measureMemory(subject, options);
  const values = Object.fromEntries((await memory?.sample())?.map(({ metric, value }) => [metric, value]) ?? []);
  expect(values).toMatchObject({ memory_overhead: 1000, disk_per_instance: 3000 });
  expect(subject.most()).toBe(4);
  expect(tenth).toMatchObject({ rounds: 3, needsWarmUp: false });
  expect(await tenth?.sample()).toEqual([{ metric: "disk_tenth_instance", value: 1000, unit: "bytes", command: "measure disk_tenth_instance" }]);
  expect([subject.most(), subject.left()]).toEqual([10, 0]);
});

it("takes away what it raised, though the disk cannot be read", async () => {
  const subject = standing(1000, 0);
  const [, tenth] = measureMemory({ ...subject, diskBytes: () => (subject.left() === 10 ? 0 : failToRead()) }, options);
  await expect(tenth?.sample()).rejects.toThrow("unreadable");
  expect(subject.left()).toBe(0);
});

it("measures no disk of what has none, and no tenth where there is no time for it", () => {
  const without: Subject = { ...standing(1000, 0) };
  delete without.diskBytes;
  expect(measureMemory(without, options)).toHaveLength(1);
  expect(measureMemory(standing(1, 1), { ...options, tenths: 0 })).toHaveLength(1);
});

function failToRead(): never {
  throw new Error("unreadable");
}
