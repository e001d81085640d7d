import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { assume } from "./host.ts";
import { parseRequirements } from "./requirements.ts";
import { EMULATING } from "./testkit/hosts.ts";
import { parseRange } from "./version-range.ts";

describe("the requirements", () => {
  it("are taken as the schema has them", () => {
    const given = { trust: "untrusted", kernel: { version: ">=6.8", modules: ["a"] }, budgets: { startupMs: 5 }, privileges: [] };
    expect(parseRequirements(given)).toEqual(given);
  });

  it.each([
    [{ trust: "mine" }, /trust must be one of own, partner, untrusted, not "mine"/],
    [{ kernel: { ebpf: "yes" } }, /kernel\.ebpf must be a boolean/],
    [{ budgets: { startupMs: 0 } }, /budgets\.startupMs must be more than 0/],
    [{ budgets: { instancesPerHost: 1.5 } }, /budgets\.instancesPerHost must be a whole number/],
    [{ kernel: { modules: ["a", 5] } }, /kernel\.modules\[1\] must be a string/],
    [{ gpus: "one" }, /gpus is not known here; known are name, trust/],
    [{ kernel: { version: "new" } }, /kernel\.version must be a range/],
    [[], /the document must be an object/],
    [null, /the document must be an object, not null/],
    [{ weights: { speed: Number.NaN } }, /weights\.speed must be a number/],
    [JSON.parse('{"__proto__": {"trust": "own"}}') as object, /__proto__ is not known/],
  ])("are refused with the path and what is allowed: %j", (document, message) => {
    expect(() => parseRequirements(document)).toThrow(message);
  });

  it("have the published schema", () => {
    const published = readFileSync("docs/schema/requirements.json", "utf8");
    expect(published).toBe(readFileSync("src/advisor/requirements.schema.json", "utf8"));
  });
});

describe("ranges of versions", () => {
  it.each([
    [">=6.8", "6.12.1-arch1", true],
    [">=6.8", "6.1.0-30-amd64", false],
    ["4.19.x", "4.19.0-27", true],
    ["4.19.*", "4.20.1", false],
    ["6.1", "6.1.55", true],
    ["6.1", "6.10.0", false],
    [">=5.10 <6", "5.15.3", true],
    [">=5.10 <6", "6.0.1", false],
    [">6.1", "6.1.9", false],
    [">6.1", "6.2", true],
    ["<= 6.1", "6.1.99", true],
    ["^6", "6.18.5", true],
    ["~6.1", "6.1.3", true],
  ])("%s and %s: %s", (range, release, within) => {
    expect(parseRange(range)?.(release)).toBe(within);
  });

  it.each(["", "newest", ">=x", "6..1", ">=6.8 or so"])("%j is none", (text) => {
    expect(parseRange(text)).toBeUndefined();
  });
});

describe("assumptions about the host", () => {
  it("with KVM make machines real and bring them where they were not", () => {
    const without = {
      ...EMULATING,
      boundaries: { ...EMULATING.boundaries, vm: { usable: false, engine: "", version: "", emulated: false, because: "no QEMU" } },
    };
    expect(assume(without, ["kvm=yes"]).boundaries.vm).toEqual({ usable: true, engine: "qemu", version: "", emulated: false });
  });

  it("without KVM take confidential machines away too", () => {
    expect(assume(EMULATING, ["sev-snp=yes", "kvm=no"])).toMatchObject({ confidential: false, boundaries: { vm: { emulated: true } } });
  });

  it("read sizes", () => {
    expect(assume(EMULATING, ["memory=64g"]).memoryBytes).toBe(64 * 1024 ** 3);
    expect(assume(EMULATING, ["memory=512MiB"]).memoryBytes).toBe(512 * 1024 ** 2);
  });

  it.each(["kvm=maybe", "kvm", "kernel=new", "memory=0", "memory=lots", "cpus=0", "architecture=vax", "gpu=1", "colour=blue", "=", ""])(
    "%j is refused",
    (word) => {
      expect(() => assume(EMULATING, [word])).toThrow(/cannot be assumed/);
    },
  );
});
