import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeDaemon, startFakeDaemon } from "../../api/testkit/fake-daemon.ts";
import { BuiltCli } from "../testkit/built-cli.ts";

let cli: BuiltCli;
let daemon: FakeDaemon;

beforeAll(async () => {
  cli = await BuiltCli.build();
  daemon = await startFakeDaemon({ images: ["busybox:latest", "with-su:latest"] });
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
  it("advises for each service of a compose file by what it asks for and by its label, and for another than a compose file says so", async () => {
    const compose = file(`services:
  web: {image: busybox, mem_limit: 64m, volumes: ["data:/data"]}
  builder: {image: not/here, volumes: ["/var/run/docker.sock:/var/run/docker.sock"], labels: {dev.bulkhead.requirements: '{"trust": "partner"}'}}
`);
    const { code, stdout } = await run("--compose", compose, "--assume", "kvm=yes", "--json");
    const { workloads } = JSON.parse(stdout) as { workloads: readonly object[] };
    expect(code).toBe(0);
    expect(workloads).toMatchObject([
      { name: "web", recommendation: { boundary: "container" }, requirements: { state: "volume", size: { memoryBytes: 64 << 20 } } },
      { name: "builder", recommendation: { nesting: ["microvm", "container"] }, requirements: { privileges: ["docker.sock"] } },
    ]);
    expect(await run("--compose", file("nothing: 1"))).toMatchObject({ code: 1, stderr: expect.stringContaining("no services") });
  });

  it("advises for an inspect document, layer by layer, and refuses an image beside it", async () => {
    const inspected = file(JSON.stringify([{ Name: "/db", Config: { Image: "busybox" }, HostConfig: { Privileged: true } }]));
    const { stdout } = await run("--inspect", inspected, "--trust", "untrusted", "--assume", "kvm=yes", "--explain");
    expect(stdout).toMatch(/^db: microvm \(qemu\)/);
    expect(stdout).toMatch(/hardware[\s\S]*host kernel[\s\S]*hypervisor[\s\S]*guest kernel[\s\S]*libraries[\s\S]*application/);
    expect(await run("--inspect", inspected, "busybox")).toMatchObject({ code: 125, stderr: expect.stringContaining("not both") });
  });

  it("names the boundary, what was ruled out and what was assumed", async () => {
    const { code, stdout } = await run("--trust", "untrusted", "busybox");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^gvisor \(runsc\)/);
    expect(stdout).toMatch(/container: untrusted code would have the host's whole kernel before it/);
    expect(stdout).toMatch(/tenancy = single/);
    expect(stdout).toMatch(/it would win if hardware virtualisation were usable/);
  });

  it("says what it saw in the image, apart from what it assumed, and nothing of what is not there", async () => {
    const seen = await run("with-su");
    expect(seen.stdout).toMatch(
      /Seen in the image\n {2}image\.user = root: .*\n {2}image\.setUserIdFiles = \["\/bin\/su"\]: a program in it runs as its owner/,
    );
    expect(seen.stdout).toMatch(/Assumed, because nobody said\n {2}trust = own/);
    expect((await run("busybox")).stdout).not.toContain("setUserIdFiles");
    const listed = await run("--compose", file("services:\n  web: {image: with-su}\n"), "--json");
    const { workloads } = JSON.parse(listed.stdout) as { workloads: readonly { assumptions: readonly object[] }[] };
    expect(workloads[0]?.assumptions).toContainEqual(expect.objectContaining({ field: "image.setUserIdFiles", value: ["/bin/su"] }));
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
