import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { placesOf } from "./places.ts";
import { removeRoot } from "./root-removal.ts";

let directory: string;
let root: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-removal-"));
  root = join(directory, "root");
  for (const path of ["images/blobs", "state", "log", "probe/layer", "workloads", "volumes", "run/seccomp", "run/s"])
    mkdirSync(join(root, path), { recursive: true });
  for (const path of ["identity.json", "launcher.lock", "state/state.db", "log/launcher.log", "run/seccomp/a"]) writeFileSync(join(root, path), "");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it("nothing is left of a root that holds nothing, not even its directory", async () => {
  await removeRoot(placesOf({ root }), { keepLauncher: false });
  expect(readdirSync(directory)).toEqual([]);
});

it("a volume's files, and files that are not ours, stay with the directories above them", async () => {
  mkdirSync(join(root, "volumes/data"));
  writeFileSync(join(root, "volumes/data/precious"), "");
  writeFileSync(join(root, "run/theirs"), "");
  await removeRoot(placesOf({ root }), { keepLauncher: false });
  expect(readdirSync(root).toSorted()).toEqual(["run", "volumes"]);
  expect(existsSync(join(root, "volumes/data/precious"))).toBe(true);
  expect(readdirSync(join(root, "run"))).toEqual(["theirs"]);
});

it("what a launcher of somebody else's keeps is left to it", async () => {
  await removeRoot(placesOf({ root }), { keepLauncher: true });
  expect(readdirSync(root).toSorted()).toEqual(["identity.json", "launcher.lock", "log", "run"]);
});
