import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeDaemon, startFakeDaemon } from "../../api/testkit/fake-daemon.ts";
import { BuiltCli } from "../testkit/built-cli.ts";

let cli: BuiltCli;
let daemon: FakeDaemon;

beforeAll(async () => {
  cli = await BuiltCli.build();
  daemon = await startFakeDaemon({ images: ["busybox:latest"] });
});

afterAll(async () => {
  await daemon.close();
  await cli[Symbol.asyncDispose]();
});

const run = (...words: string[]) => cli.run(["advise", ...words], { host: `unix://${daemon.socket}` });
const file = (text: string): string => {
  const path = join(cli.scratch(), "needs.yaml");
  writeFileSync(path, text);
  return path;
};

describe("bulkhead advise", () => {
  it("names the boundary, what was ruled out and what was assumed", async () => {
    const { code, stdout } = await run("--trust", "untrusted", "busybox");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^gvisor \(runsc\)/);
    expect(stdout).toMatch(/container: untrusted code would have the host's whole kernel before it/);
    expect(stdout).toMatch(/tenancy = single/);
    expect(stdout).toMatch(/it would win if hardware virtualisation were usable/);
  });

  it("answers for another host with --assume, as JSON", async () => {
    const { stdout } = await run("--compliance", "hypervisor", "--assume", "kvm=yes", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 1, recommendation: { boundary: "microvm", nesting: ["microvm"] } });
  });

  it("ends with 1 where nothing here can meet it", async () => {
    const { code, stdout } = await run("--compliance", "confidential");
    expect(code).toBe(1);
    expect(stdout).toMatch(/^Nothing here can meet this/);
  });

  it("reads YAML, and options go before it", async () => {
    const path = file("trust: untrusted\nkernel:\n  own: true\n");
    const { stdout } = await run("--requirements", path, "--trust", "own", "--ebpf", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ requirements: { trust: "own", kernel: { own: true, ebpf: true } }, recommendation: { boundary: "microvm" } });
  });

  it("says where a document is wrong and what is allowed there", async () => {
    const { code, stderr } = await run("--requirements", file("gpu: several\n"));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/gpu must be one of none, shared, whole, not "several"/);
    expect((await run("--requirements", file("trust: [\n"))).stderr).toMatch(/neither JSON nor YAML/);
  });

  it("refuses an unknown image as every verb does", async () => {
    const { code, stderr } = await run("nosuch");
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/No such image: nosuch:latest/);
  });
});
