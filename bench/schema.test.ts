/** What is published for machines is what is written for them. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { compareSubjects } from "./comparisons.ts";
import type { CompareDocument } from "./report/document.ts";

const read = (path: string): unknown => JSON.parse(readFileSync(join(import.meta.dirname, "..", path), "utf8"));
const RECORDED = "bench/report/recorded";

describe("the published schemas", () => {
  it("of compare is the one beside its code (renew it by `cp bench/report/compare.schema.json docs/compare.schema.json`)", () => {
    expect(read("docs/compare.schema.json")).toEqual(read("bench/report/compare.schema.json"));
  });

  it("of compare holds what boundaries were told apart by", () => {
    const check = new Ajv2020().compile(read("docs/compare.schema.json") as object);
    const recorded = read(`${RECORDED}/compare-container.json`) as CompareDocument;
    const twice = (id: string) => recorded.series.map((one) => ({ ...one, subject: id }));
    const subjects = ["container", "gvisor"].map((id) => ({ id, engine: "e", version: "1", emulated: false }));
    const comparisons = compareSubjects(["container", "gvisor"].flatMap(twice), subjects);
    expect(comparisons.map(({ verdict }) => verdict)).toContain("few");
    expect([check({ ...recorded, comparisons }), check.errors]).toEqual([true, null]);
    expect(check({ ...recorded, comparisons: [{ ...comparisons[0], verdict: "perhaps" }] })).toBe(false);
  });

  for (const [kind, schema, Compiler] of [
    ["compare", "docs/compare.schema.json", Ajv2020],
    ["doctor", "docs/schema/doctor.json", Ajv],
  ] as const)
    it(`accept the ${kind} documents that were recorded on a host, and refuse them with a field too few`, () => {
      const check = new Compiler({ strict: false, validateFormats: false }).compile(read(schema) as object);
      const names = readdirSync(join(import.meta.dirname, "..", RECORDED)).filter((name) => name.startsWith(`${kind}-`));
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        const document = read(`${RECORDED}/${name}`) as Record<string, unknown>;
        expect([name, check(document), check.errors]).toEqual([name, true, null]);
        const { schemaVersion: _, ...rest } = document;
        expect(check(rest)).toBe(false);
      }
    });
});
