import { expect, test } from "vitest";
import { readProcessor } from "./fingerprint.ts";

test("a processor is its model and its abilities, not its clock of the moment", () => {
  const cpu = (mhz: string, flags: string) => `processor\t: 0\nmodel name\t: Some CPU\ncpu MHz\t\t: ${mhz}\nflags\t\t: ${flags}\n\nprocessor\t: 1\n`;
  expect(readProcessor(cpu("2000.1", "fpu sse"))).toBe(readProcessor(cpu("3100.9", "fpu sse")));
  expect(readProcessor(cpu("2000.1", "fpu sse"))).not.toBe(readProcessor(cpu("2000.1", "fpu sse avx")));
});
