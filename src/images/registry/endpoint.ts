/** Where a registry is, and how it is spoken to: TLS with the operator's own certificates, plain HTTP only where that is allowed. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Agent } from "undici";
import type { RegistrySettings } from "./settings.ts";
import { isDistrust, reasonOf, unreachable } from "./unreachable.ts";

export interface Endpoint extends AsyncDisposable {
  /** `https://registry-1.docker.io`. */
  readonly origin: string;
  readonly agent: Agent;
}

/** Finds out whether the registry speaks TLS. Rejects UNAVAILABLE where it cannot be reached as it may be. */
export async function openEndpoint(domain: string, settings: RegistrySettings, signal: AbortSignal): Promise<Endpoint> {
  const host = domain === "docker.io" ? "registry-1.docker.io" : domain;
  const insecure = settings.insecure.includes(domain);
  const certificates = await readCertificates(domain, settings.certificateDirectories);
  // Only who speaks to a registry pays for its client: 4 MB of an idle daemon otherwise.
  const undici = await import("undici");
  const agent = new undici.Agent({
    connect: { timeout: 15_000, ...certificates, ...(insecure ? { rejectUnauthorized: false } : {}) },
    headersTimeout: 60_000,
    bodyTimeout: 60_000,
    connections: 6,
  });
  const schemes = insecure || isLoopback(host) ? (["https", "http"] as const) : (["https"] as const);
  const reasons: string[] = [];
  const causes: unknown[] = [];
  for (const scheme of schemes) {
    const origin = `${scheme}://${host}`;
    try {
      const { body } = await agent.request({ origin, path: "/v2/", method: "GET", signal });
      await body.dump();
      return { origin, agent, [Symbol.asyncDispose]: () => agent.destroy() };
    } catch (thrown) {
      signal.throwIfAborted();
      reasons.push(`${scheme}: ${reasonOf(thrown)}`);
      causes.push(thrown);
      // A certificate that is not trusted is an answer: it must not be evaded by speaking without one.
      if (isDistrust(thrown)) break;
    }
  }
  await agent.destroy();
  throw unreachable(domain, reasons, causes);
}

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

interface Certificates {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

async function readCertificates(domain: string, directories: readonly string[]): Promise<Certificates> {
  for (const directory of directories) {
    const path = join(directory, domain);
    const names = await readdir(path).catch(() => []);
    if (names.length === 0) continue;
    const read = (suffix: string) => Promise.all(names.filter((name) => name.endsWith(suffix)).map((name) => readFile(join(path, name), "utf8")));
    const [ca, [cert], [key]] = await Promise.all([read(".crt"), read(".cert"), read(".key")]);
    return { ...(ca.length === 0 ? {} : { ca }), ...(cert === undefined || key === undefined ? {} : { cert, key }) };
  }
  return {};
}
