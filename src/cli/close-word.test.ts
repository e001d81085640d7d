import { describe, expect, it } from "vitest";
import { findClose } from "./close-word.ts";

const WORDS = ["run", "rm", "rmi", "images", "inspect", "policy show", "port"];

describe("the word that was probably meant", () => {
  it.each([
    ["rnu", "run"],
    ["runn", "run"],
    ["image", "images"],
    ["imges", "images"],
    ["inspcet", "inspect"],
    ["pert", "port"],
    ["ins", "inspect"],
    ["policy", "policy show"],
  ])("for %s is %s", (typed, meant) => expect(findClose(typed, WORDS)).toBe(meant));

  it.each(["frobnicate", "", "xy", "spect", "ru--n"])("for %j is none of them", (typed) => expect(findClose(typed, WORDS)).toBeUndefined());
});
