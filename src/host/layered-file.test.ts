import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findLayeredFile } from "./layered-file.ts";

let root: string;
let layers: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bulkhead-layers-"));
  layers = ["upper", "middle", "lower"].map((name) => join(root, name));
  for (const layer of layers) mkdirSync(join(layer, "etc"), { recursive: true });
  writeFileSync(join(root, "secret"), "the host's");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (layer: number, path: string, text: string) => writeFileSync(join(layers[layer] as string, path), text);
const link = (layer: number, path: string, target: string) => symlinkSync(target, join(layers[layer] as string, path));

test("the uppermost layer that has the file wins", () => {
  put(2, "etc/passwd", "low");
  expect(findLayeredFile(layers, "/etc/passwd", 100)).toEqual({ text: "low", layer: 2 });
  put(1, "etc/passwd", "mid");
  expect(findLayeredFile(layers, "/etc/passwd", 100)).toEqual({ text: "mid", layer: 1 });
  expect(findLayeredFile(layers, "/etc/group", 100)).toBeUndefined();
});

test("links are followed inside the layers and never out of them", () => {
  put(2, "etc/real", "inside");
  link(0, "etc/passwd", "../../../../etc/real");
  expect(findLayeredFile(layers, "/etc/passwd", 100)?.text).toBe("inside");
  link(0, "etc/absolute", `${root}/secret`);
  expect(findLayeredFile(layers, "/etc/absolute", 100)).toBeUndefined();
  link(0, "etc/relative", "../../secret");
  expect(findLayeredFile(layers, "/etc/relative", 100)).toBeUndefined();
});

test("a directory that is a link is resolved in all layers", () => {
  put(2, "etc/real", "found");
  link(0, "alias", "etc");
  expect(findLayeredFile(layers, "/alias/real", 100)).toEqual({ text: "found", layer: 2 });
});

test("a circle of links, a fifo, a directory and a file that is too long are no file", () => {
  link(0, "etc/a", "b");
  link(0, "etc/b", "a");
  execFileSync("/bin/sh", ["-c", `exec mk""fifo "$0"`, join(layers[0] as string, "etc/fifo")]);
  mkdirSync(join(layers[0] as string, "etc/directory"));
  put(0, "etc/long", "x".repeat(101));
  for (const name of ["a", "fifo", "directory", "long"]) expect(findLayeredFile(layers, `/etc/${name}`, 100), name).toBeUndefined();
});

test("something else in a directory's place hides what is below", () => {
  put(2, "etc/passwd", "low");
  rmSync(join(layers[1] as string, "etc"), { recursive: true });
  put(1, "etc", "a file where the directory was");
  expect(findLayeredFile(layers, "/etc/passwd", 100)).toBeUndefined();
});
