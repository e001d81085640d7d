/** Fallback chains over the real engine and the fake driver: this host has containers, and machines are missing. */

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Client } from "../../../sdk/src/index.ts";
import { plainCall } from "../../contract/call.ts";
import { OPEN_POLICY, parsePolicy, type Policy } from "../../policy/index.ts";
import { type FakeDaemon, startFakeDaemon } from "../testkit/fake-daemon.ts";

let daemon: FakeDaemon;
let client: Client;
let policy: Policy;

beforeAll(async () => {
  daemon = await startFakeDaemon({
    images: ["busybox:latest"],
    get policy() {
      return policy;
    },
  });
  client = new Client({ host: `unix://${daemon.socket}` });
});
beforeEach(() => {
  policy = OPEN_POLICY;
});
afterAll(async () => {
  client.close();
  await daemon.close();
});

const create = (isolation: string) => client.workloads.create({ Image: "busybox", Cmd: ["sleep"], HostConfig: { Isolation: isolation } });
const set = async (text: string) => {
  policy = await parsePolicy(`schemaVersion: 1\n${text}\n`, "p");
};

test("nothing stands in for a boundary that is missing, unless the policy names it", async () => {
  await expect(create("microvm")).rejects.toThrow(/no guest booted/);
  await set("fallback: { gvisor: [container] }");
  await expect(create("microvm")).rejects.toThrow(/no guest booted/);
});

test("what stands in is said in the answer, in inspect and in events", async () => {
  await set("fallback: { microvm: [gvisor, container] }");
  const { Id, Warnings } = await create("microvm");
  expect(Warnings).toContainEqual("isolation container: microvm cannot be had here (no guest booted), and the operator's policy lets container stand in");
  expect((await client.workloads.inspect(Id)).Boundary).toMatchObject({ kind: "container", insteadOf: "microvm" });
  for await (const { subject, attributes } of daemon.engine.events({ sinceNs: 0n }, plainCall())) {
    if (subject !== Id) continue;
    expect(attributes).toMatchObject({ boundary: "container", insteadOf: "microvm" });
    break;
  }
});

test("what is here stays what it is, and says nothing of the chain", async () => {
  await set("fallback: { container: [microvm] }");
  const { Id, Warnings } = await create("container");
  expect(Warnings?.join() ?? "").not.toContain("stand in");
  expect((await client.workloads.inspect(Id)).Boundary).not.toHaveProperty("insteadOf");
});

test("nothing below the floor stands in: the refusal is of what was asked for", async () => {
  await set("floor: [own-kernel]\nfallback: { microvm: [container] }");
  await expect(create("microvm")).rejects.toThrow(/no guest booted/);
});

test("a chain of what is no boundary, or of itself, is no policy: with line and column", async () => {
  await expect(parsePolicy("schemaVersion: 1\nfallback: { microvm: [firecracker] }\n", "p")).rejects.toThrow(
    /p:2:\d+: "firecracker" cannot stand in for microvm/,
  );
  await expect(parsePolicy("schemaVersion: 1\nfallback: { microvm: [microvm] }\n", "p")).rejects.toThrow(/cannot stand in for microvm/);
  await expect(parsePolicy("schemaVersion: 1\nfallback: { xen: [vm] }\n", "p")).rejects.toThrow(/not known here/);
});
