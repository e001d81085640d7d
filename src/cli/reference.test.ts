import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { showReference } from "./reference.ts";
import { findVerb, GROUPS, VERBS, wordsOfGroup } from "./verbs.ts";

describe("the reference", () => {
  it("in docs/cli.md is what the definitions say: `node scripts/cli-reference.ts` writes it", async () => {
    expect(readFileSync(join(import.meta.dirname, "../../docs/cli.md"), "utf8")).toBe(await showReference());
  });
});

describe("verbs", () => {
  it("all load, and describe themselves well enough for the help", async () => {
    for (const [name, verb] of Object.entries(VERBS)) {
      const command = await verb.load();
      expect(command.description ?? "", name).toMatch(/\.$/);
      const names = command.options.map((option) => option.name);
      expect(new Set(names).size, name).toBe(names.length);
      const letters = command.options.flatMap((option) => option.short ?? []);
      expect(new Set(letters).size, name).toBe(letters.length);
    }
  });

  it("are found by their short, long and other names", () => {
    expect(findVerb(["ps"])).toEqual({ name: "ps", taken: 1 });
    expect(findVerb(["container", "ls", "-a"])).toEqual({ name: "ps", taken: 2 });
    expect(findVerb(["container", "run"])).toEqual({ name: "run", taken: 2 });
    expect(findVerb(["image", "rm"])).toEqual({ name: "rmi", taken: 2 });
    expect(findVerb(["toString"])).toBeUndefined();
    expect(findVerb(["volume"])).toBeUndefined();
    for (const group of GROUPS) for (const word of wordsOfGroup(group)) expect(findVerb([group, word]), `${group} ${word}`).toBeDefined();
  });
});
