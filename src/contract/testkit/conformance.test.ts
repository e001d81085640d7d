import { expect, it } from "vitest";
import { CONFORMANCE_CASES, describeConformance } from "./conformance.ts";
import { makeFakeHarness } from "./fake-harness.ts";

describeConformance("the fake", () => makeFakeHarness());

it("the suite asks for at least forty promises", () => {
  expect(Object.values(CONFORMANCE_CASES).flat().length).toBeGreaterThanOrEqual(40);
});
