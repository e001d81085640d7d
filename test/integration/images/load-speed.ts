/**
 * How fast an archive becomes an image here, by dockerd (whose socket is given) and by system tar, in one interleaved run.
 *
 *     node test/integration/images/load-speed.ts ARCHIVE LAYER_TAR [DOCKER_SOCKET] [ROUNDS]
 *
 * Prints milliseconds per round and the medians in MB of the uncompressed layer per second.
 */

import { execFileSync } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildUnpacker, call, openBench, quiet } from "./bench.ts";

const [, , archive = "", layer = "", socket = "", rounds = "5"] = process.argv;
const megabytes = statSync(layer).size / 1e6;
const series: Record<string, number[]> = {};

async function timed(name: string, work: () => unknown): Promise<void> {
  execFileSync("sync");
  const begun = performance.now();
  await work();
  (series[name] ??= []).push(performance.now() - begun);
}

async function ours(): Promise<void> {
  await using bench = await openBench();
  await timed("bulkhead load", () => bench.images.load(createReadStream(archive, { highWaterMark: 1 << 20 }), quiet, call()));
}

function docker(...words: string[]): string {
  return execFileSync("docker", ["-H", `unix://${socket}`, ...words], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

async function dockerd(): Promise<void> {
  await timed("dockerd load", () => docker("load", "-i", archive));
  docker("image", "prune", "-af");
}

async function tar(): Promise<void> {
  const directory = mkdtempSync("/tmp/bulkhead-tar-");
  await timed("system tar, no digest", () => execFileSync("tar", ["-C", directory, "--xattrs", "-xpf", layer]));
  await timed("system tar, with sync", () => execFileSync("sync", ["-f", join(directory, ".")]));
  rmSync(directory, { recursive: true });
}

await buildUnpacker();
for (let round = 0; round < Number(rounds); round++) {
  await ours();
  if (socket !== "") await dockerd();
  await tar();
}
for (const [name, values] of Object.entries(series)) {
  const median = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  console.log(`${name.padEnd(24)} ${values.map((value) => value.toFixed(0)).join(" ")} ms; median ${(megabytes / (median / 1000)).toFixed(0)} MB/s`);
}
