import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Contents, readContents } from "./contents.ts";

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "bulkhead-contents-"));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

/** A layer of files with these modes. */
function layer(name: string, files: Readonly<Record<string, number>>): string {
  for (const [path, mode] of Object.entries(files)) {
    const file = join(work, name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
    chmodSync(file, mode);
  }
  return join(work, name);
}

it("finds programs that run as their owner, init systems and kernel modules, wherever they lie", async () => {
  const tree = layer("one", {
    "usr/bin/su": 0o4755,
    "opt/deep/er/helper": 0o4711,
    "usr/bin/wall": 0o2755,
    "usr/bin/ls": 0o755,
    "usr/lib/systemd/systemd": 0o755,
    "lib/modules/6.1.0/kernel/fs/a.ko.xz": 0o644,
    "lib/modules/6.1.0/modules.dep": 0o644,
  });
  mkdirSync(join(tree, "tmp"), { mode: 0o4777 });
  symlinkSync("/usr/bin/su", join(tree, "link"));
  expect(await readContents([tree])).toEqual({
    setUserIdFiles: ["/opt/deep/er/helper", "/usr/bin/su"],
    initSystems: ["/usr/lib/systemd/systemd"],
    kernelModules: ["/lib/modules/6.1.0/kernel/fs/a.ko.xz"],
    complete: true,
  });
});

it("finds nothing in an image that has nothing of the kind, though busybox calls itself init", async () => {
  const tree = layer("plain", { "bin/busybox": 0o755, "sbin/init": 0o755 });
  expect(await readContents([tree])).toEqual({ setUserIdFiles: [], initSystems: [], kernelModules: [], complete: true });
});

it("sees an image as its layers make it: what a higher one replaces or takes away is not there", async () => {
  const lower = layer("lower", { "bin/replaced": 0o4755, "bin/kept": 0o4755, "gone/with/all": 0o4755 });
  // A whiteout is a device, which needs root to be made: anything that is no directory hides as it does.
  const upper = layer("upper", { "bin/replaced": 0o755, gone: 0o644, "bin/new": 0o4755 });
  expect((await readContents([upper, lower])).setUserIdFiles).toEqual(["/bin/kept", "/bin/new"]);
});

it("says where it did not look at everything", async () => {
  const tree = layer("many", Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`d${index}/file`, 0o4755])));
  expect(await readContents([tree], { maxEntries: 40, maxPaths: 500 })).toMatchObject({ complete: false });
  const few = await readContents([tree], { maxEntries: 500, maxPaths: 5 });
  expect([few.complete, few.setUserIdFiles.length]).toEqual([false, 5]);
});

it("reads an image once, until it is forgotten", async () => {
  const tree = layer("once", { "bin/su": 0o4755 });
  const contents = new Contents();
  const first = await contents.of("id", [tree]);
  rmSync(tree, { recursive: true });
  expect(await contents.of("id", [tree])).toBe(first);
  contents.forget("id");
  await expect(contents.of("id", [tree])).rejects.toThrow(/ENOENT/);
});
