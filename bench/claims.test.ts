import { expect, test } from "vitest";
import { type Claim, judge } from "./claims.ts";
import type { Series, SubjectDescription } from "./series.ts";
import { summarize } from "./statistics.ts";

const machine = (emulated: boolean): SubjectDescription => ({ id: "microvm", boundary: "microvm", engine: "qemu", version: "7.2", emulated });
const container: SubjectDescription = { id: "container", boundary: "container", engine: "crun", version: "1.8", emulated: false };
const series = (subject: string, metric: string, samples: number[], unit: Series["unit"] = "s"): Series => ({
  subject,
  metric,
  unit,
  samples,
  summary: summarize(samples),
  command: "",
});
const claim = (fields: Partial<Claim>): Claim => ({ id: "X", boundary: "container", metric: "startup_to_ready", source: "A", unit: "s", ...fields });

test("a claim is confirmed where the interval overlaps its range, also one that is open on a side", () => {
  const measured = [series("container", "startup_to_ready", [0.02, 0.03, 0.04])];
  expect(judge(claim({ high: 1 }), measured, [container]).verdict).toBe("confirmed");
  expect(judge(claim({ low: 0.001, high: 0.03 }), measured, [container]).verdict).toBe("confirmed");
});

test("what varies is not judged by fewer than three samples, and what does not is judged by one", () => {
  expect(judge(claim({ low: 0.1 }), [series("container", "startup_to_ready", [0.02, 0.02])], [container])).toMatchObject({
    verdict: "not-measurable",
    because: expect.stringContaining("2 samples"),
  });
  const image = claim({ metric: "image_size", low: 1e6, unit: "bytes" });
  expect(judge(image, [series("container", "image_size", [2e6], "bytes")], [container]).verdict).toBe("confirmed");
});

test("a shorter start than claimed is better, a longer one worse", () => {
  const measured = [series("container", "startup_to_ready", [0.02, 0.03, 0.04])];
  expect(judge(claim({ low: 0.1, high: 2 }), measured, [container]).verdict).toBe("refuted-better");
  expect(judge(claim({ high: 0.001 }), measured, [container]).verdict).toBe("refuted-worse");
});

test("of density, more is better", () => {
  const measured = [series("container", "density", [400, 410, 420], "instances")];
  expect(judge(claim({ metric: "density", high: 100, unit: "instances per server" }), measured, [container]).verdict).toBe("refuted-better");
});

test("an emulated machine refutes nothing, and the same figures from real hardware do", () => {
  const measured = [series("microvm", "startup_to_ready", [0.5, 0.6, 0.7])];
  const firecracker = claim({ boundary: "microvm", high: 0.125 });
  expect(judge(firecracker, measured, [machine(true)])).toMatchObject({ verdict: "not-measurable", value: 0.6 });
  expect(judge(firecracker, measured, [machine(false)]).verdict).toBe("refuted-worse");
});

test("what was not measured is said, with the reason", () => {
  expect(judge(claim({ boundary: "wasm" }), [], [container])).toMatchObject({ verdict: "not-measurable", because: expect.stringContaining("no wasm") });
  expect(judge(claim({}), [], [container])).toMatchObject({ verdict: "not-measurable", because: expect.stringContaining("startup_to_ready") });
});

test("a claimed sentence about the kernel is compared with what was seen", () => {
  const seen: Series = { ...series("container", "kernel_identity", [], "text"), text: "the host's" };
  expect(judge(claim({ metric: "kernel_identity", says: "the host's" }), [seen], [container]).verdict).toBe("confirmed");
  expect(judge(claim({ metric: "kernel_identity", says: "its own" }), [seen], [container]).verdict).toBe("refuted-worse");
});
