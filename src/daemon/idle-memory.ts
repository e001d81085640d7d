/**
 * What the start used and nothing holds any more: megabytes that V8 would keep until it needs room. A daemon that has just started may wait for
 * hours, so it is given back once.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export function giveBackMemory(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as unknown;
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect();
}
