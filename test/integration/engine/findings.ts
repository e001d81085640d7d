/** Expectations whose failure is one sentence: told by a daemon that is about to die as well as by the test. */

import { isDeepStrictEqual } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { plainCall } from "../../../src/contract/call.ts";
import type { Engine, LogQuery } from "../../../src/engine/index.ts";

const EVERYTHING: LogQuery = { stdout: true, stderr: true, follow: false, tail: undefined, sinceNs: undefined, untilNs: undefined };
/** An emulated machine that was on its way boots first and is undone then, on a busy host after half a minute. */
const PATIENCE_MS = 60_000;

export function expectEqual(what: string, is: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(is, wanted)) throw new Error(`${what} is ${JSON.stringify(is)} instead of ${JSON.stringify(wanted)}`);
}

export function expectOneOf(what: string, is: unknown, wanted: readonly unknown[]): void {
  if (!wanted.includes(is)) throw new Error(`${what} is ${JSON.stringify(is)}, none of ${JSON.stringify(wanted)}`);
}

/** Until it is as wanted: for what comes by itself, and only has not come yet. */
export async function poll(what: string, look: () => Promise<unknown>, wanted: unknown): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!isDeepStrictEqual(await look(), wanted) && Date.now() < deadline) await sleep(20);
  expectEqual(what, await look(), wanted);
}

export async function readLog(engine: Engine, id: string): Promise<readonly string[]> {
  const parts: Uint8Array[] = [];
  for await (const entries of engine.logs(id, EVERYTHING, plainCall())) parts.push(...entries.map(({ bytes }) => bytes));
  return Buffer.concat(parts).toString().split("\n").slice(0, -1);
}
