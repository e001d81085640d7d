/** The texts of a workload's /etc/hosts and /etc/resolv.conf. Everything from outside is checked: a newline would be a line more. */

import { isIP } from "node:net";
import { Failure, quote } from "../contract/failure.ts";
import { readOwnResolvConf, readReachableResolvers, parseResolvConf, type ReadHostFile } from "./host-network.ts";
import type { Networks } from "./index.ts";

/** Asked where the host has none that anybody else can reach; the same that other engines take. */
export const FALLBACK_RESOLVERS: readonly string[] = ["8.8.8.8", "8.8.4.4"];

type ResolvConfOptions = Parameters<Networks["resolvConf"]>[0];
type HostsOptions = Parameters<Networks["hosts"]>[0];

export function writeResolvConf(wanted: ResolvConfOptions, read: ReadHostFile, fallback: readonly string[]): string {
  for (const address of wanted.dns) if (isIP(address) === 0) throw new Failure("INVALID_SPEC", `${quote(address)} is not the address of a name server`);
  for (const word of [...wanted.search, ...wanted.options]) checkWord(word, "search domain or resolver option");
  const asIs = wanted.dns.length === 0 && wanted.search.length === 0 && wanted.options.length === 0;
  const sharesHost = wanted.network === "host";
  const own = readOwnResolvConf(read);
  if (sharesHost && asIs && own !== undefined) return own;
  const host = sharesHost ? parseResolvConf(own ?? "") : readReachableResolvers(read);
  const known = host.nameservers.length > 0 ? host.nameservers : fallback;
  const nameservers = wanted.dns.length > 0 ? wanted.dns : known;
  // `--dns-search .` means none.
  const search = (wanted.search.length > 0 ? wanted.search : host.search).filter((domain) => domain !== ".");
  const options = wanted.options.length > 0 ? wanted.options : host.options;
  const lines = nameservers.map((address) => `nameserver ${address}`);
  if (search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

export function writeHosts({ hostname, domainName, address, extra, gateway }: HostsOptions): string {
  const lines = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
  ];
  lines.push(...extra.map((entry) => extraLine(entry, gateway)));
  if (address !== undefined) {
    const names = domainName === undefined || domainName === "" ? [hostname] : [`${hostname}.${domainName}`, hostname];
    for (const name of names) checkWord(name, "host name");
    lines.push(`${address}\t${names.join(" ")}`);
  }
  return `${lines.join("\n")}\n`;
}

/** `name:address`; the address may be `host-gateway`, and may have colons itself. */
function extraLine(entry: string, gateway: string | undefined): string {
  const colon = entry.indexOf(":");
  const [name, wanted] = [entry.slice(0, colon), entry.slice(colon + 1).replace(/^\[(.*)\]$/, "$1")];
  const address = wanted === "host-gateway" ? gateway : wanted;
  if (address === undefined)
    throw new Failure("INVALID_SPEC", "host-gateway has no meaning without a bridge network", { remedy: "use --network bridge, or name an address" });
  if (colon < 1 || isIP(address) === 0) throw new Failure("INVALID_SPEC", `${quote(entry)} is not of the form name:address`);
  checkWord(name, "host name");
  return `${address}\t${name}`;
}

function checkWord(word: string, what: string): void {
  if (word === "" || /[\s#;]/.test(word) || /\p{Cc}/u.test(word)) throw new Failure("INVALID_SPEC", `${quote(word)} is not a ${what}`);
}
