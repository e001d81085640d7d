import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { MountSpec } from "../../spec.ts";
import type { ConformanceCase } from "./case.ts";

const tmpfs = (target: string, changes: Partial<Extract<MountSpec, { kind: "tmpfs" }>> = {}): MountSpec => ({
  kind: "tmpfs",
  target,
  readOnly: false,
  options: [],
  ...changes,
});
const bind = (source: string, target: string, readOnly: boolean): MountSpec => ({ kind: "bind", source, target, readOnly });

export const SURROUNDING_CASES: readonly ConformanceCase[] = [
  {
    title: "the environment is what was given, and nothing of the host's",
    async run(stage) {
      const environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GREETING=good day = good", "EMPTY="];
      const { stdout } = await stage.run(stage.say.environment(), { environment });
      const lines = stdout
        .toString()
        .split("\n")
        .filter((line) => line !== "" && !/^(HOME|HOSTNAME|PWD|SHLVL|_)=/.test(line));
      expect(lines.sort()).toEqual([...environment].sort());
    },
  },
  {
    title: "the working directory is the one asked for",
    needsKernel: true,
    async run(stage) {
      expect((await stage.run(stage.say.directory(), { workingDirectory: "/etc" })).stdout.toString()).toBe("/etc\n");
    },
  },
  {
    title: "the user is root where none is named, and the one asked for where it is",
    needsKernel: true,
    async run(stage) {
      expect((await stage.run(stage.say.user())).stdout.toString().trim()).toBe("0:0");
      expect((await stage.run(stage.say.user(), { user: "1234:4321" })).stdout.toString().trim()).toBe("1234:4321");
    },
  },
  {
    title: "the host name is the spec's",
    needsKernel: true,
    async run(stage) {
      expect((await stage.run(stage.say.hostname(), {}, { hostname: "little-box" })).stdout.toString()).toBe("little-box\n");
    },
  },
  {
    title: "a writable bind goes both ways",
    needsHostPaths: true,
    async run(stage) {
      const directory = await stage.harness.makeHostDirectory();
      await writeFile(join(directory, "from-host"), "host's words");
      const mounts = [bind(directory, "/shared", false)];
      expect((await stage.run(stage.say.read("/shared/from-host"), {}, { mounts })).stdout.toString()).toBe("host's words");
      expect((await stage.run(stage.say.write("/shared/from-inside", "workload's words"), {}, { mounts })).status.code).toBe(0);
      expect(await readFile(join(directory, "from-inside"), "utf8")).toBe("workload's words");
    },
  },
  {
    title: "a read-only bind can be read and not written",
    needsHostPaths: true,
    async run(stage) {
      const directory = await stage.harness.makeHostDirectory();
      await writeFile(join(directory, "file"), "fixed");
      const mounts = [bind(directory, "/shared", true)];
      expect((await stage.run(stage.say.read("/shared/file"), {}, { mounts })).stdout.toString()).toBe("fixed");
      expect((await stage.run(stage.say.write("/shared/file", "changed"), {}, { mounts })).status.code).not.toBe(0);
      expect(await readFile(join(directory, "file"), "utf8")).toBe("fixed");
    },
  },
  {
    title: "a single file can be bound",
    needsHostPaths: true,
    async run(stage) {
      const file = join(await stage.harness.makeHostDirectory(), "only-this");
      await writeFile(file, "one file");
      expect((await stage.run(stage.say.read("/etc/only-this"), {}, { mounts: [bind(file, "/etc/only-this", true)] })).stdout.toString()).toBe("one file");
    },
  },
  {
    title: "a tmpfs is writable, keeps its size, and is empty again next time",
    async run(stage) {
      const mounts = [tmpfs("/scratch", { sizeBytes: 1024 * 1024 })];
      const { bundle, sandbox } = await stage.raise(stage.say.fill("/scratch/small", 1000), {}, { mounts });
      expect((await stage.finish(sandbox)).status.code).toBe(0);
      const again = await stage.driver.launch(bundle, stage.process(stage.say.read("/scratch/small")), stage.call);
      expect((await stage.finish(again)).status.code).not.toBe(0);
      expect((await stage.run(stage.say.fill("/scratch/large", 4 * 1024 * 1024), {}, { mounts })).status.code).not.toBe(0);
    },
  },
  {
    title: "a read-only root cannot be written, and a tmpfs on it can",
    async run(stage) {
      const spec = await stage.harness.makeSpec();
      const changes = { security: { ...spec.security, readOnlyRoot: true }, mounts: [tmpfs("/scratch")] };
      expect((await stage.run(stage.say.write("/new-file", "x"), {}, changes)).status.code).not.toBe(0);
      expect((await stage.run(stage.say.write("/scratch/new-file", "x"), {}, changes)).status.code).toBe(0);
    },
  },
];
