import { expect, it } from "vitest";
import claimsDocument from "./data/claims.json" with { type: "json" };
import { type Claim, judge } from "./claims.ts";
import { deriveDiskRatio } from "./derived.ts";
import type { Series } from "./series.ts";
import { summarize } from "./statistics.ts";

const series = (metric: string, subject: string, samples: readonly number[]): Series => ({
  metric,
  subject,
  unit: "ns",
  samples,
  summary: summarize(samples),
  command: "c",
});

it("has what the own root writes over what a volume writes, and the claim about it is judged by that", () => {
  const measured = [
    series("disk_sequential_rootfs", "container", [20, 20, 25, 25]),
    series("disk_sequential_volume", "container", [10, 10, 10]),
    series("disk_sequential_rootfs", "raw-host", [1, 1, 1]),
    series("disk_sequential_volume", "raw-host", [1, 1, 1]),
    series("disk_sequential_rootfs", "gvisor", [1]),
  ];
  const derived = deriveDiskRatio(measured);
  expect(derived).toMatchObject([{ metric: "disk_throughput_ratio", subject: "container", unit: "ratio", samples: [0.5, 0.5, 0.4] }]);
  const claim = (claimsDocument.claims as readonly Claim[]).find(({ id }) => id === "C-container-disk-io") as Claim;
  const subjects = [{ id: "container", boundary: "container", engine: "crun", version: "1", emulated: false }];
  expect(judge(claim, derived, subjects)).toMatchObject({ verdict: "confirmed", value: 0.5, n: 3 });
  expect(judge(claim, deriveDiskRatio([series("disk_sequential_rootfs", "container", [5, 5, 5]), ...measured.slice(1)]), subjects)).toMatchObject({
    verdict: "refuted-better",
  });
});
