/**
 * How fast an archive becomes images here, by dockerd and by system tar, in one interleaved run. Each daemon is asked by the same docker client over its own
 * socket; nobody's images are kept.
 *
 *     node test/integration/images/load-speed.ts ARCHIVE LAYER_TAR NAME=SOCKET... [rounds=5]
 *
 * For each: milliseconds until the answer, until all of it was on the disk as well (`sync` right after), and the median in MB of the archive per second.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";

const [, , archive = "", layer = "", ...words] = process.argv;
const settings = new Map(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
const rounds = Number(settings.get("rounds") ?? 5);
settings.delete("rounds");

interface Series {
  readonly megabytes: number;
  readonly answered: number[];
  readonly onDisk: number[];
}
const all = new Map<string, Series>();

/** What others left to be written is written before. */
function timed(name: string, file: string, work: () => unknown): void {
  const series = all.get(name) ?? { megabytes: statSync(file).size / 1e6, answered: [], onDisk: [] };
  all.set(name, series);
  execFileSync("sync");
  const begun = performance.now();
  work();
  series.answered.push(performance.now() - begun);
  execFileSync("sync");
  series.onDisk.push(performance.now() - begun);
}

function load(name: string, socket: string): void {
  const docker = (...command: string[]) => execFileSync("docker", ["-H", `unix://${socket}`, ...command], { stdio: ["ignore", "pipe", "inherit"] });
  timed(name, archive, () => docker("load", "-i", archive));
  docker("image", "prune", "-af");
}

function tar(): void {
  const directory = mkdtempSync("/tmp/bulkhead-tar-");
  timed("system tar, no digest", layer, () => execFileSync("tar", ["-C", directory, "--xattrs", "-xpf", layer]));
  rmSync(directory, { recursive: true });
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] as number;
const row = (values: readonly number[], megabytes: number) =>
  `${values.map((value) => value.toFixed(0)).join(" ")} ms, median ${(megabytes / (median(values) / 1000)).toFixed(0)} MB/s`;

for (let round = 0; round < rounds; round++) {
  for (const [name, socket] of settings) load(name, socket);
  tar();
}
for (const [name, { megabytes, answered, onDisk }] of all) {
  console.log(`${name}\n  answered  ${row(answered, megabytes)}\n  on disk   ${row(onDisk, megabytes)}`);
}
