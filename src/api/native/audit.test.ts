/** Auditing over the socket: what a daemon knows that no document says. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { Client } from "../../../sdk/src/index.ts";
import { type FakeDaemon, startFakeDaemon } from "../testkit/fake-daemon.ts";

let daemon: FakeDaemon;
let client: Client;
beforeAll(async () => {
  daemon = await startFakeDaemon({ images: ["busybox:latest"], machines: true });
  client = new Client({ host: `unix://${daemon.socket}` });
});
afterAll(async () => {
  client.close();
  await daemon.close();
});

it("finds in a workload that is here what its inspect shows", async () => {
  const { Id } = await client.workloads.create({ Image: "busybox", Cmd: ["sleep"], HostConfig: { CapAdd: ["SYS_ADMIN"], Memory: 1 << 26 } });
  const content = await client.workloads.inspect(Id);
  const findings = await client.auditor.audit([{ kind: "inspect", name: "it", content }]);
  expect(findings.find(({ id }) => id === "BH003")).toMatchObject({ severity: "critical", subject: "it", what: "it has CAP_SYS_ADMIN" });
  expect(findings.map(({ id }) => id)).not.toContain("BH030");
  await client.workloads.remove(Id, { force: true });
});

it("takes a runtime's name for the boundary that it means", async () => {
  const content = { Image: "busybox", HostConfig: { Runtime: "kata", CapAdd: ["SYS_ADMIN"] } };
  const findings = await client.auditor.audit([{ kind: "create", name: "it", content }]);
  expect(findings.find(({ id }) => id === "BH003")).toMatchObject({ severity: "low", baseSeverity: "critical" });
});

it("writes a hardened body that this very daemon makes a workload of", async () => {
  const content = { Image: "busybox", Cmd: ["sleep", "9"], HostConfig: { Privileged: true, PidMode: "host", Binds: ["/:/host"], NetworkMode: "host" } };
  const { content: mended } = await client.auditor.mend({ kind: "create", name: "it", content }, { strict: true });
  const { Id } = await client.workloads.create(mended as never);
  await client.workloads.start(Id);
  const again = await client.auditor.audit([{ kind: "inspect", name: "it", content: await client.workloads.inspect(Id) }]);
  expect(again.filter(({ severity }) => severity === "critical" || severity === "high")).toEqual([]);
  await client.workloads.remove(Id, { force: true });
});

it("refuses what is of another kind, and an exception without a reason", async () => {
  await expect(client.auditor.audit([{ kind: "compose", name: "c.yaml", content: [] }])).rejects.toThrow(/no compose file/);
  await expect(client.auditor.audit([], { accepted: { BH001: "" } })).rejects.toThrow(/accepted/);
  await expect(client.auditor.mend({ kind: "dockerfile", name: "Dockerfile", content: "FROM x" })).rejects.toThrow(/not mended/);
});
