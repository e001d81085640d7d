/** A daemon's engine on a real launcher, driver and store, which plays one story and dies at one point of it. Started by the test. */

import { writeSync } from "node:fs";
import { plainCall } from "../../../src/contract/call.ts";
import { STORIES } from "./stories.ts";
import { cuttingDriver, cuttingStore, Knife } from "./cutting.ts";
import { openEngine, type Ground } from "./ground.ts";

export interface Play {
  readonly ground: Ground;
  readonly story: string;
  /** The point at which it dies; 0 for none. */
  readonly at: number;
  readonly withinMs: readonly number[];
}

const { ground, story, at, withinMs } = JSON.parse(process.argv[2] ?? "") as Play;
const say = (line: string) => writeSync(1, `${line}\n`);
const knife = new Knife(at, withinMs);
const { engine, close } = await openEngine(ground, { driver: (driver) => cuttingDriver(driver, knife), store: (store) => cuttingStore(store, knife) });
await engine.recover(plainCall());
await STORIES[story]?.play(engine, (what) => say(`reached ${what}`));
await close();
say(`points ${knife.points}`);
process.exit(0);
