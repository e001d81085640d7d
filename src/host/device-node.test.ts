import { expect, it } from "vitest";
import { findDevice, findKernelName } from "./device-node.ts";

it("a device has the kernel's own name, whatever it was reached by; what is none has neither", () => {
  const device = findDevice("/dev/null");
  expect(device).toMatchObject({ type: "c", major: 1, minor: 3 });
  expect(findKernelName({ type: "c", major: 1, minor: 3 })).toBe("/dev/null");
  expect(findKernelName({ type: "c", major: 4095, minor: 1_048_575 })).toBeUndefined();
  expect(findDevice("/etc")).toBeUndefined();
});
