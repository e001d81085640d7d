import { describe, expect, it } from "vitest";
import { summarize } from "../statistics.ts";
import type { PeersDocument } from "./compare-peers.ts";
import { renderPeers } from "./peers-table.ts";

const series = (subject: string, samples: number[]): PeersDocument["series"][number] => ({
  metric: "exec",
  subject,
  unit: "s",
  samples,
  summary: summarize(samples),
  command: "",
});

const document: PeersDocument = {
  schemaVersion: 1,
  measuredAt: "2026-01-01T00:00:00Z",
  command: "bulkhead compare --peers",
  image: "busybox",
  complete: true,
  host: { kernel: "6", architecture: "x64", processor: "p", processors: 2, memoryBytes: 1, guestOf: "none", distribution: "d" },
  peers: [
    { id: "bulkhead", version: "1" },
    { id: "dockerd", version: "2" },
  ],
  series: [series("bulkhead", [0.02, 0.02]), series("dockerd", [0.06, 0.06])],
  gaps: [{ subject: "podman", metric: "all", because: "it is not installed" }],
};

describe("the table of peers", () => {
  it("shows each peer's median and how many times ours it is", () => {
    const page = renderPeers(document);
    expect(page).toMatch(/20\.0 ms/);
    expect(page).toMatch(/n 2 · × 3\.0/);
  });

  it("names what could not be measured and why", () => {
    expect(renderPeers(document)).toContain("podman, all: not measured, it is not installed");
  });

  it("says when it was interrupted", () => {
    expect(renderPeers({ ...document, complete: false })).toContain("or it was interrupted");
  });
});
