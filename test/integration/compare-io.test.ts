/** What `compare` measures of disks and networks, with real workloads. No figure is judged: that each is there is the point. */

import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { GAUGE_IMAGE, loadGaugeImage } from "../../bench/gauge-image.ts";
import { measureDisk, measureNetwork } from "../../bench/io-measures.ts";
import { BulkheadSubject } from "../../bench/subjects/bulkhead.ts";
import { PlainHost } from "../../bench/subjects/plain-host.ts";
import { CHECKOUT, TestDaemon } from "../harness/daemon.ts";

const gaugePath = join(CHECKOUT, "dist/native/bulkhead-gauge");
/** A machine writes for seconds: the long suite has the time. */
const FULL = process.env.BULKHEAD_FULL === "1";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open({ image: false });
  await loadGaugeImage(daemon.client, gaugePath, process.arch === "x64" ? "amd64" : process.arch);
});
afterAll(() => daemon.close());

it("writes to the own root and to a volume, speaks over the network, and leaves nothing", async () => {
  const probes = await daemon.client.system.probes();
  const kinds = probes.filter(({ kind, usable, facets }) => usable && facets.includes("exec") && (FULL || kind === "container")).map(({ kind }) => kind);
  expect(kinds).toContain("container");
  const shared = { client: daemon.client, image: GAUGE_IMAGE, gaugeImage: GAUGE_IMAGE, root: daemon.root };
  const subjects = kinds.map(
    (kind) => new BulkheadSubject({ ...shared, isolation: kind, description: { id: kind, engine: "", version: "", emulated: false } }),
  );
  for (const subject of [new PlainHost(gaugePath), ...subjects])
    for (const measure of [...measureDisk(subject, 1), ...measureNetwork(subject, { rounds: 1, gaugePath })]) {
      const samples = await measure.sample();
      expect(samples.length, measure.name).toBeGreaterThan(0);
      for (const { metric, value } of samples) expect(value, `${metric} of ${subject.description.id}`).toBeGreaterThan(0);
    }
  await expect.poll(() => daemon.client.workloads.list({ all: true })).toEqual([]);
  await expect.poll(async () => (await daemon.client.volumes.list()).length).toBe(0);
}, 300_000);
