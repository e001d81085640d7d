/** Hello from the daemon's side: what it speaks, and whether the answer is something of that. */

import { Failure } from "../contract/failure.ts";
import { type Greeting, PROTOCOL } from "../contract/protocol-version.ts";

export function greeting(): Greeting {
  return { version: PROTOCOL.oldest, newest: PROTOCOL.newest };
}

/** Refuses, UNAVAILABLE, an end that answers in a version that this daemon does not speak. */
export function checkVersion(hello: { readonly version: number }, peer: string, remedy: string): void {
  const { oldest, newest } = PROTOCOL;
  if (hello.version >= oldest && hello.version <= newest) return;
  throw new Failure("UNAVAILABLE", `${peer} speaks version ${hello.version} of the protocol, and this daemon versions ${oldest} to ${newest}`, { remedy });
}
