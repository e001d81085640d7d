/**
 * Requests that a web page has its reader's browser make. They reach the socket only through something that forwards a port to it, and then they look like
 * their reader's own. Two ways are known, and both are refused:
 *
 * - A page of another place sends without being let read the answer (CSRF). Browsers say so in `Sec-Fetch-Site`, older ones by another `Origin`
 *   than the `Host` that is asked.
 * - A page's own name is made to lead to the forwarder (DNS rebinding): for the browser the daemon is then the page's own place, and all that gives it away is the
 *   `Host`, a name of the public DNS. Programs ask by names that are nobody's there: `docker`, `localhost`, an address, a socket's path.
 *
 * What is no browser says what it likes: this guards users of forwarders, not the socket.
 */

import type { IncomingHttpHeaders } from "node:http";
import { isIPv4 } from "node:net";
import { Failure, quote } from "../contract/failure.ts";

/** What no public DNS answers for: RFC 6761, ICANN's `internal`, and clients that call the host by the socket's file. */
const PRIVATE_ENDINGS = [".localhost", ".internal", ".sock"];
const FROM_HERE = ["same-origin", "none"];

/** Throws DENIED_BY_POLICY. `trusted`: HOST or HOST:PORT of pages, and by which the API may be asked. */
export function refuseWebPages(headers: IncomingHttpHeaders, trusted: readonly string[]): void {
  const host = (headers.host ?? "").toLowerCase();
  const isTrusted = (place: string): boolean => trusted.some((known) => [place, withoutPort(place)].includes(known.toLowerCase()));
  if (isPublicName(withoutPort(host)) && !isTrusted(host))
    throw refusal(`requests for the host ${quote(host)} are refused: a web page's own name may lead here`, host);
  const { origin } = headers;
  const site = headers["sec-fetch-site"];
  const page = origin === undefined ? undefined : placeOf(origin);
  const foreign = typeof site === "string" ? !FROM_HERE.includes(site) : origin !== undefined && page !== host;
  if (foreign && (page === undefined || !isTrusted(page))) throw refusal(`requests of the web page ${quote(origin ?? "that is not named")} are refused`, page);
}

function refusal(what: string, place: string | undefined): Failure {
  const remedy =
    place === undefined ? "ask from a program" : `ask from a program, or add ${JSON.stringify(place)} to trustedHosts in the daemon's configuration`;
  return new Failure("DENIED_BY_POLICY", what, { remedy });
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, "");
}

function isPublicName(name: string): boolean {
  const bare = name.replace(/\.$/, "");
  return /^[\w-]+(\.[\w-]+)+$/.test(bare) && !isIPv4(bare) && !PRIVATE_ENDINGS.some((ending) => bare.endsWith(ending));
}

/** As the `Host` would be for a page's own place; undefined for one that has none. */
function placeOf(origin: string): string | undefined {
  try {
    const { host } = new URL(origin);
    return host === "" ? undefined : host;
  } catch {
    return undefined;
  }
}
