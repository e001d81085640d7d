/** How privileges are written: what admission forbids and what the auditor finds must be the same thing under every spelling. */

import { posix } from "node:path";

/** `cap_net_admin`, `CAP_NET_ADMIN` and `net_admin` alike: upper case, without `CAP_`. */
export function capabilityName(text: string): string {
  return text.toUpperCase().replace(/^CAP_/, "");
}

/** Who may write to one of these sockets is root on the host: engines' APIs, ours among them, and what they are made of. */
const SOCKETS = /(^|\/)(docker|bulkhead|containerd|podman|crio|launcher|supervisor)\.sock$/;
/** Where they usually lie: whoever is shown one of these is shown the socket. */
const PLACES = ["/run/bulkhead", "/run/containerd", "/run/podman", "/run/crio", "/run/docker", "/run/docker.sock"];

/** A path of the host that is such a socket, or the directory of one. */
export function isApiSocket(path: string): boolean {
  const normal = normalHostPath(path);
  return SOCKETS.test(normal) || PLACES.includes(normal);
}

/** A path of the host with which such a socket is shown: it, its directory, or one above or below that. */
export function showsApiSocket(path: string): boolean {
  return isApiSocket(path) || PLACES.some((place) => overlaps(path, place));
}

/** One lies at, above or below the other: showing /etc shows /etc/shadow, and showing / shows both. */
export function overlaps(path: string, other: string): boolean {
  const inside = (inner: string, outer: string): boolean => outer === "/" || inner === outer || inner.startsWith(`${outer}/`);
  const [left, right] = [normalHostPath(path), normalHostPath(other)];
  return inside(left, right) || inside(right, left);
}

/** Without detours. `/var/run` is `/run` on every host of this decade. */
export function normalHostPath(path: string): string {
  return posix.resolve("/", path).replace(/^\/var\/run(?=\/|$)/, "/run");
}
