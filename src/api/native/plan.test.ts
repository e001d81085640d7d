/** Planning over the socket, and on the command line's own words. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { Client } from "../../../sdk/src/index.ts";
import { type FakeDaemon, startFakeDaemon } from "../testkit/fake-daemon.ts";

let daemon: FakeDaemon;
let client: Client;
beforeAll(async () => {
  daemon = await startFakeDaemon({ images: ["busybox:latest"] });
  client = new Client({ host: `unix://${daemon.socket}` });
});
afterAll(async () => {
  client.close();
  await daemon.close();
});

it("plans for hosts like this one unless another kind is named", async () => {
  const workloads = [{ name: "web", count: 50, requirements: { size: { memoryBytes: 1e8, cpus: 0.1 } } }];
  const here = await client.planner.plan({ workloads });
  expect(here.hostType).toMatchObject({ name: "this host", diskBytes: 500e9 });
  const there = await client.planner.plan({ workloads, host: { name: "large", cpus: 64, memoryBytes: 256e9, pricePerMonth: 300 } });
  expect(there.boundaries.find(({ boundary }) => boundary === "container")?.fleet).toMatchObject({ hosts: 1, costPerMonth: 300 });
});

it("takes a runtime's name for its boundary, and refuses an unknown one and wrong requirements by their place", async () => {
  const plan = (more: object) => client.planner.plan({ workloads: [{ name: "web", count: 1, ...more }] });
  expect((await plan({ isolation: "runc" })).mixed?.assignments).toMatchObject([{ boundary: "container" }]);
  await expect(plan({ isolation: "jail" })).rejects.toThrow(/jail/);
  await expect(plan({ requirements: { trust: "who" } })).rejects.toThrow(/trust/);
  await expect(plan({ count: 0 })).rejects.toThrow(/count/);
});
