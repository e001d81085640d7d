/** Taking more than one's share of the host. There are no limits by default, as with Docker: what is tried is the limit, and the control lacks it. */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { HostConfig } from "@bulkhead/sdk";
import type { Inhabitants } from "../../integration/chaos/inhabitants.ts";
import type { Bed } from "../bed.ts";

export interface Abuse {
  readonly id: string;
  readonly deed: string;
  /** The main process, run by a shell. It ends by itself, also where nothing limits it. */
  readonly attempt: string;
  readonly limits: HostConfig;
  /** How far it came, as the host sees it or as the workload was still able to say. */
  readonly came: (bed: Bed, inhabitants: Inhabitants, id: string) => Promise<number>;
  /** No further with the limit, and at least so far without. */
  readonly most: number;
  readonly without: number;
}

/** A limit on memory that a bomb goes beyond at once. */
export const MEMORY = 64 * 1024 * 1024;

export const ABUSES: readonly Abuse[] = [
  {
    id: "fork-bomb",
    deed: "more processes than its limit",
    attempt: "bomb processes 200",
    limits: { PidsLimit: 40 },
    came: saidSo,
    most: 40,
    without: 200,
  },
  {
    id: "memory-bomb",
    deed: "more memory than its limit",
    attempt: "bomb memory 200",
    limits: { Memory: MEMORY, MemorySwap: MEMORY },
    came: saidSo,
    most: 0,
    without: 200,
  },
  {
    id: "log-flood",
    deed: "more of the host's disk for its log than its limit",
    attempt: "yes flooded | head -c 12000000",
    limits: { LogConfig: { Type: "json-file", Config: { "max-size": "256k", "max-file": "2" } } },
    came: async (bed, _, id) => logBytes(bed, id),
    most: 1_500_000,
    without: 12_000_000,
  },
  {
    id: "inode-exhaustion",
    deed: "more of the host's disk for files, though they be empty, than its limit",
    attempt: "mkdir /many; cd /many; seq 1 8000 | xargs touch; echo made $(ls | wc -l)",
    limits: { StorageOpt: { size: "8m" } },
    came: saidSo,
    most: 4_000,
    without: 8_000,
  },
];

async function saidSo(_: Bed, inhabitants: Inhabitants, id: string): Promise<number> {
  return Number(/made (\d+)/.exec(await inhabitants.log(id))?.[1] ?? 0);
}

function logBytes(bed: Bed, id: string): number {
  const found = execFileSync("find", [join(bed.daemon.root, "workloads", id), "-xdev", "-type", "f", "-name", "*log*", "-printf", "%s\n"], {
    encoding: "utf8",
  });
  return found.split("\n").reduce((sum, size) => sum + Number(size), 0);
}
