/** `-p`: `[address:][hostPort[-last]:]port[-last][/protocol]`. */

import type { PortBinding } from "../../../sdk/src/index.ts";
import { UsageError } from "../command.ts";

export interface Publication {
  /** `80/tcp`. */
  readonly port: string;
  readonly binding: PortBinding;
}

const FORM = /^(?:(\[[0-9a-fA-F:.%]+\]|[0-9.]*):)?(?:(\d*)(?:-(\d+))?:)?(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i;

/** One publication for every port of a range; hosts' and workloads' ranges must be as long as each other. */
export function parsePublication(text: string): readonly Publication[] {
  // `8080:80` reads as address 8080 otherwise: an address has a dot or brackets, or is followed by two more parts.
  const parts = /^(\d+(?:-\d+)?):(\d.*)$/.exec(text);
  const match = FORM.exec(parts !== null && !text.slice((parts[1] ?? "").length + 1).includes(":") ? `:${text}` : text.includes(":") ? text : `::${text}`);
  if (match === null) throw bad(text);
  const [, address = "", hostFirst = "", hostLast, first = "", last, protocol = "tcp"] = match;
  const inside = range(first, last, text);
  const outside = hostFirst === "" ? inside.map(() => "") : range(hostFirst, hostLast, text).map(String);
  if (outside.length !== inside.length && !(inside.length === 1 && outside.length > 1)) throw bad(text, "the two ranges are not of one length");
  // Docker: a range on the host for one port means any free one of the range.
  const hostPorts = inside.length === 1 && outside.length > 1 ? [`${hostFirst}-${hostLast}`] : outside;
  const hostAddress = address.replace(/^\[|\]$/g, "");
  if (/^[0-9.]+$/.test(hostAddress) && !isAddress(hostAddress)) throw bad(text, `${hostAddress} is not an address`);
  return inside.map((port, index) => ({
    port: `${port}/${protocol.toLowerCase()}`,
    binding: { ...(hostAddress === "" ? {} : { HostIp: hostAddress }), HostPort: hostPorts[index] ?? "" },
  }));
}

/** `--expose`: `80`, `80/udp`, `8000-8010`. */
export function parseExposed(text: string): readonly string[] {
  const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  if (match === null) throw bad(text);
  return range(match[1] ?? "", match[2], text).map((port) => `${port}/${(match[3] ?? "tcp").toLowerCase()}`);
}

function range(first: string, last: string | undefined, text: string): number[] {
  const from = Number(first);
  const to = last === undefined ? from : Number(last);
  if (from > 65535 || to > 65535 || to < from) throw bad(text, `${from}-${to} is no range of ports`);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function isAddress(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

function bad(text: string, why = "it is not a port"): UsageError {
  return new UsageError(`cannot publish ${JSON.stringify(text)}: ${why}`, "write [ADDRESS:][HOST-PORT:]PORT[/udp], as in -p 8080:80");
}
