import { expect, test } from "vitest";
import { sizeOf } from "./size.ts";

const MIB = 1024 * 1024;
const host = { emulated: true, processors: 4, workload: "w" };

test("the machine is larger than the limit by what the guest needs, and the limit itself is exact inside", () => {
  const size = sizeOf({ memoryBytes: 64 * MIB, cpus: 0.5, pids: 20 }, host);
  expect(size.memoryMib).toBe(128);
  expect(size.processors).toBe(1);
  expect(size.inner).toMatchObject({ memoryBytes: 64 * MIB, cpus: 0.5, pids: 20 });
  expect(size.outer).toMatchObject({ memoryBytes: (128 + 192) * MIB, cpus: 0.5 });
});

test("without a limit the workload still leaves the guest's kernel its share", () => {
  const { memoryMib, inner } = sizeOf({}, host);
  expect(inner.memoryBytes).toBe((memoryMib - 48) * MIB);
});

test("processors are whole, at least one, and never more than the host has", () => {
  expect(sizeOf({ cpus: 2.5 }, host).processors).toBe(3);
  expect(sizeOf({ cpus: 64 }, host).processors).toBe(4);
});

test("less memory or disk than a machine can live with is refused with a remedy", () => {
  expect(() => sizeOf({ memoryBytes: MIB }, host)).toThrow(expect.objectContaining({ code: "INVALID_SPEC", remedy: "Ask for 6m or more" }));
  expect(() => sizeOf({ diskBytes: 1000 }, host)).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
});

test("large limits are rounded to whole gibibytes", () => {
  expect(sizeOf({ memoryBytes: 9000 * MIB }, host).memoryMib).toBe(9 * 1024);
});
