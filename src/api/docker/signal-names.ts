/** Signals as clients write them: `9`, `KILL`, `SIGKILL`, `RTMIN+3`. */

import { constants } from "node:os";
import { Failure, quote } from "../../contract/failure.ts";

const FIRST_REALTIME = 34;
const LAST_REALTIME = 64;

/** `SIGKILL`. Rejects INVALID_SPEC for what is no signal. */
export function readSignal(given: string): string {
  if (/^\d{1,2}$/.test(given)) {
    const number = Number(given);
    const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
    if (name !== undefined) return name;
    if (number >= FIRST_REALTIME && number <= LAST_REALTIME) return number === FIRST_REALTIME ? "SIGRTMIN" : `SIGRTMIN+${number - FIRST_REALTIME}`;
  } else {
    const name = given.toUpperCase().startsWith("SIG") ? given.toUpperCase() : `SIG${given.toUpperCase()}`;
    if (Object.hasOwn(constants.signals, name) || /^SIGRT(MIN(\+([1-9]|1\d|2\d|30))?|MAX(-([1-9]|1[0-4]))?)$/.test(name)) return name;
  }
  throw new Failure("INVALID_SPEC", `Invalid signal: ${quote(given)}`);
}
