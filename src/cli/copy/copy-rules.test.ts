import { describe, expect, it } from "vitest";
import { findBase, findLanding, readArgument, type Destination } from "./copy-rules.ts";

describe("arguments of cp", () => {
  it.each([
    ["web:/etc/hosts", { workload: "web", path: "/etc/hosts" }],
    ["web:etc:hosts", { workload: "web", path: "etc:hosts" }],
    ["web:", { workload: "web", path: "" }],
    ["/with:colon", { path: "/with:colon" }],
    ["./with:colon", { path: "./with:colon" }],
    ["plain", { path: "plain" }],
    ["-", { path: "-" }],
  ])("%s", (argument, read) => {
    expect(readArgument(argument)).toEqual(read);
  });

  it.each([
    ["/etc/hosts", "hosts"],
    ["etc/", "etc"],
    ["/etc/.", "."],
    [".", "."],
    ["/", "/"],
    ["/a/b/..", "a"],
    ["/a/..", "/"],
  ])("names in an archive of %s begin with %s", (path, base) => {
    expect(findBase(path)).toBe(base);
  });
});

const file = { isDirectory: false, base: "f" };
const directory = { isDirectory: true, base: "d" };
const inside = { isDirectory: true, base: "." };
const at = (path: string, kind: Destination["kind"]): Destination => ({ path, kind });

describe("where a copy lands", () => {
  it.each([
    ["a file where nothing is", file, at("/to/x", "absent"), { directory: "/to", name: "x" }],
    ["a file over a file", file, at("/to/x", "file"), { directory: "/to", name: "x" }],
    ["a file into a directory", file, at("/to", "directory"), { directory: "/to", name: "f" }],
    ["a directory where nothing is", directory, at("/to/x", "absent"), { directory: "/to", name: "x" }],
    ["a directory where nothing is, with a slash", directory, at("/to/x/", "absent"), { directory: "/to", name: "x" }],
    ["a directory into a directory", directory, at("/to", "directory"), { directory: "/to", name: "d" }],
    ["what lies in one where nothing is", inside, at("/to/x", "absent"), { directory: "/to", name: "x" }],
    ["what lies in one into a directory", inside, at("/to", "directory"), { directory: "/to", name: undefined }],
    ["the root into a directory", { isDirectory: true, base: "/" }, at("/to", "directory"), { directory: "/to", name: undefined }],
    ["a file at a relative path inside", file, at("x", "absent"), { directory: ".", name: "x" }],
  ])("%s", (_title, source, destination, landing) => {
    expect(findLanding(source, destination)).toEqual(landing);
  });

  it("a directory does not land on a file, nor a file where a directory was asked for and is not", () => {
    expect(() => findLanding(directory, at("/to", "file"))).toThrow("cannot copy directory");
    expect(() => findLanding(file, at("/to/x/", "absent"))).toThrow("no such directory");
  });
});
