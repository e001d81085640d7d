/** `--isolation auto` over the real engine and the fake driver: this host has containers and machines. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client } from "../../../sdk/src/index.ts";
import { OPEN_POLICY, parsePolicy, type Policy } from "../../policy/index.ts";
import { type FakeDaemon, startFakeDaemon } from "../testkit/fake-daemon.ts";

let daemon: FakeDaemon;
let client: Client;
let policy: Policy = OPEN_POLICY;

beforeAll(async () => {
  daemon = await startFakeDaemon({
    images: ["busybox:latest"],
    machines: true,
    get policy() {
      return policy;
    },
  });
  client = new Client({ host: `unix://${daemon.socket}` });
});
afterAll(async () => {
  client.close();
  await daemon.close();
});

const create = (needs: object | undefined, host: object = {}) =>
  client.workloads.create({
    Image: "busybox",
    Cmd: ["sleep"],
    ...(needs === undefined ? {} : { Labels: { "dev.bulkhead.requirements": JSON.stringify(needs) } }),
    HostConfig: { Isolation: "auto", ...host },
  });
const boundaryOf = async (id: string): Promise<string> => (await client.workloads.inspect(id)).Boundary?.kind ?? "";

describe("isolation auto", () => {
  it("chooses by advice and says what and why", async () => {
    const { Id, Warnings } = await create(undefined);
    expect(await boundaryOf(Id)).toBe("container");
    expect(Warnings).toContainEqual(expect.stringMatching(/^isolation auto: container meets what was asked/));
    const own = await create({ kernel: { own: true } });
    expect(await boundaryOf(own.Id)).toBe("microvm");
  });

  it("reads the request itself: privileges that end the wall count", async () => {
    const { Warnings } = await create({ trust: "own" }, { Privileged: true });
    expect(Warnings?.join()).toMatch(/isolation auto/);
    expect(await boundaryOf((await create({ trust: "partner" })).Id)).toBe("container");
    expect(await boundaryOf((await create({ trust: "partner" }, { Privileged: true })).Id)).toBe("microvm");
  });

  it("is refused where nothing here will do, with the reasons", async () => {
    await expect(create({ compliance: "confidential" })).rejects.toThrow(/only a confidential machine/);
    await expect(create({ trust: "mine" })).rejects.toThrow(/trust must be one of own, partner, untrusted/);
  });

  it("never goes below the floor, and says that the policy decided", async () => {
    policy = await parsePolicy("schemaVersion: 1\nfloor: [own-kernel]\n", "p");
    const { Id, Warnings } = await create(undefined);
    expect(await boundaryOf(Id)).toBe("microvm");
    expect(Warnings?.join()).toMatch(/the operator's policy refuses container/);
    policy = await parsePolicy("schemaVersion: 1\nfloor: [no-kernel]\n", "p");
    await expect(create(undefined)).rejects.toThrow(/the operator's policy refuses every boundary that would do/);
    policy = await parsePolicy("schemaVersion: 1", "p");
  });
});
