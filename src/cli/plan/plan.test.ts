import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeDaemon, startFakeDaemon } from "../../api/testkit/fake-daemon.ts";
import { BuiltCli } from "../testkit/built-cli.ts";

let cli: BuiltCli;
let daemon: FakeDaemon;
beforeAll(async () => {
  cli = await BuiltCli.build();
  daemon = await startFakeDaemon();
});
afterAll(async () => {
  await daemon.close();
  await cli[Symbol.asyncDispose]();
});
const run = (...words: string[]) => cli.run(["plan", "-w", "name=web,count=34,memory=1g,cpus=0.5", ...words], { host: `unix://${daemon.socket}` });
const file = (text: string): string => {
  const path = join(cli.scratch(), "types.yaml");
  writeFileSync(path, text);
  return path;
};
const LARGE = "large=16,64g,500g,100";

describe("bulkhead plan", () => {
  it("plans for one kind of host, as it says", async () => {
    const { code, stdout } = await run("--host", "cpus=16,memory=64g,disk=500g,price=120");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Hosts of 16 processors[\s\S]*container +\d+ /);
    expect(stdout).not.toContain("Which hosts");
  });

  it("chooses among types of host by flags and by file, and says how", async () => {
    const { code, stdout } = await run("--host-type", LARGE, "--host-type", "small=4,16g,100g,40");
    expect(code).toBe(0);
    expect(stdout).toMatch(/Which hosts\n {2}1 × large and 1 × small: 140 a month, and no mix of these types costs less than \d/);
    expect(stdout).toMatch(/large alone: 2, 200 a month[\s\S]*tried: each type alone/);
    const types = file("- {name: large, cpus: 16, memory: 64g, disk: 500g, price: 100}\n- {name: small, cpus: 4, memory: 16g, disk: 100g, price: 40}\n");
    const listed = JSON.parse((await run("--host-types", types, "--json")).stdout) as { hostTypes: { cheapest: object } };
    expect(listed.hostTypes.cheapest).toMatchObject({
      costPerMonth: 140,
      hosts: [
        { hostType: "large", count: 1 },
        { hostType: "small", count: 1 },
      ],
    });
  });

  it("refuses what is no type of host, and says what is one", async () => {
    expect(await run("--host-type", "large=16,64g")).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/"large=16,64g"[\s\S]*NAME=CPUS,MEMORY,DISK,PRICE/),
    });
    expect(await run("--host-type", LARGE, "--host", "cpus=4")).toMatchObject({ code: 125, stderr: expect.stringContaining("give one of them") });
    expect(await run("--host-types", file("- {name: a, cores: 4}\n"))).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/host type 1, does not know "cores=4"/),
    });
    expect(await run("--host-types", file("- {name: a, cpus: 4}\n"))).toMatchObject({ code: 1, stderr: expect.stringContaining('"a" has no price') });
    expect(await run("--host-types", file("nothing: 1\n"))).toMatchObject({ code: 125, stderr: expect.stringContaining("no list of host types") });
  });
});
