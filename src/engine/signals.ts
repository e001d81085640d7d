/** Signals as callers name them: `TERM`, `SIGTERM`, `15`. */

import { constants } from "node:os";
import { Failure, quote } from "../contract/failure.ts";

const BY_NUMBER = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number as number, name]),
);

/** Real-time signals, which Node's table lacks. */
const REAL_TIME = /^SIGRT(MIN(\+([0-9]|1[0-5]))?|MAX(-([0-9]|1[0-4]))?)$/;

/** The name with its prefix; rejects INVALID_SPEC. */
export function parseSignal(asked: string): string {
  if (/^\d+$/.test(asked)) {
    const number = Number(asked);
    const name =
      BY_NUMBER.get(number) ?? (number >= 34 && number <= 64 ? (number === 34 ? "SIGRTMIN" : number === 64 ? "SIGRTMAX" : realTime(number)) : undefined);
    if (name !== undefined) return name;
  } else {
    const upper = asked.toUpperCase();
    const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
    if (name in constants.signals || REAL_TIME.test(name)) return name;
  }
  throw new Failure("INVALID_SPEC", `Invalid signal: ${quote(asked)}`, { remedy: "Use a name such as SIGTERM, or its number." });
}

function realTime(number: number): string {
  return number <= 49 ? `SIGRTMIN+${number - 34}` : `SIGRTMAX-${64 - number}`;
}
