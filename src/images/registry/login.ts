/** Whether a registry takes these credentials, found out by showing them to it. Nothing is kept. */

import type { Agent } from "undici";
import type { Call } from "../../contract/call.ts";
import { Failure } from "../../contract/failure.ts";
import type { RegistryCredentials } from "../index.ts";
import { parseChallenges } from "./challenge.ts";
import { hostOf } from "./credentials.ts";
import { openEndpoint } from "./endpoint.ts";
import { completeSettings, type RegistrySettings } from "./settings.ts";
import { basic, fetchToken } from "./token.ts";

/** Rejects UNAUTHENTICATED where it refuses. `server` is a host, or an address such as `https://index.docker.io/v1/`. */
export async function checkLogin(
  server: string,
  options: { readonly settings: Partial<RegistrySettings>; readonly credentials: RegistryCredentials },
  call: Call,
): Promise<void> {
  const domain = hostOf(server);
  if (!/^[\w.-]+(:\d{1,5})?$|^\[[0-9a-f:]+\](:\d{1,5})?$/i.test(domain))
    throw new Failure("INVALID_SPEC", `${JSON.stringify(server.slice(0, 100))} is not a registry's address`, {
      remedy: "write its host, as in registry.example.org:5000",
    });
  await using endpoint = await openEndpoint(domain, completeSettings(options.settings), call.signal);
  const ask = async (headers: Readonly<Record<string, string>>) => {
    const {
      statusCode,
      headers: told,
      body,
    } = await endpoint.agent.request({ origin: endpoint.origin, path: "/v2/", method: "GET", headers, signal: call.signal });
    await body.dump();
    return { statusCode, header: [told["www-authenticate"] ?? []].flat().join(", ") };
  };
  const first = await ask({ "user-agent": "bulkhead" });
  // A registry that asks nobody who he is takes every name, as Docker's client takes it.
  if (first.statusCode === 200) return;
  const authorization = first.statusCode === 401 ? await authorize(endpoint, first.header, options.credentials, call.signal) : undefined;
  const second = authorization === undefined ? first : await ask({ "user-agent": "bulkhead", authorization });
  if (second.statusCode === 200) return;
  if (second.statusCode === 401 || second.statusCode === 403)
    throw new Failure("UNAUTHENTICATED", `the registry ${domain} refused this user name or password (${second.statusCode})`, {
      remedy: "check both, and the registry's name",
    });
  throw new Failure("UNAVAILABLE", `the registry ${domain} answered ${second.statusCode}`, {
    remedy: "try again; if that does not help, look at the registry's own log",
  });
}

async function authorize(
  endpoint: { readonly origin: string; readonly agent: Agent },
  header: string,
  credentials: RegistryCredentials,
  signal: AbortSignal,
): Promise<string | undefined> {
  const challenges = parseChallenges(header);
  const bearer = challenges.find(({ scheme }) => scheme === "bearer");
  if (bearer !== undefined)
    return `Bearer ${await fetchToken(endpoint.agent, bearer, { scope: "", credentials, plainAllowed: endpoint.origin.startsWith("http:") }, signal)}`;
  const { username, password } = credentials;
  return username === undefined || !challenges.some(({ scheme }) => scheme === "basic") ? undefined : basic(username, password ?? "");
}
