/** Bearer tokens (distribution's "Token Authentication Specification" and its OAuth2 form). */

import type { Agent } from "undici";
import { Failure } from "../../contract/failure.ts";
import { optionalString, parseDocument } from "../document.ts";
import type { RegistryCredentials } from "../index.ts";
import { readBody } from "./body.ts";
import type { Challenge } from "./challenge.ts";
import { reasonOf, unreachable } from "./unreachable.ts";

const MAX_TOKEN_BYTES = 256 * 1024;

/** Rejects UNAUTHENTICATED where the token server refuses, and where the credentials would have to travel in the clear. */
export async function fetchToken(
  agent: Agent,
  challenge: Challenge,
  ask: { readonly scope: string; readonly credentials: RegistryCredentials; readonly plainAllowed: boolean },
  signal: AbortSignal,
): Promise<string> {
  const realm = URL.parse(challenge.parameters["realm"] ?? "");
  if (realm === null || !(realm.protocol === "https:" || (realm.protocol === "http:" && ask.plainAllowed))) {
    throw new Failure(
      "UNAUTHENTICATED",
      `the registry names the token server ${JSON.stringify(challenge.parameters["realm"]?.slice(0, 100))}, which is not asked`,
      {
        remedy: "the token server must be reached by https",
      },
    );
  }
  const service = challenge.parameters["service"] ?? "";
  const { identityToken } = ask.credentials;
  const response = await (identityToken === undefined
    ? get(agent, realm, { ...ask, service }, signal)
    : post(agent, realm, { ...ask, service, identityToken }, signal)
  ).catch((thrown: unknown) => {
    signal.throwIfAborted();
    throw unreachable(realm.host, [reasonOf(thrown)], [thrown]);
  });
  const bytes = await readBody(response.body, MAX_TOKEN_BYTES, "the token server's answer");
  if (response.statusCode !== 200) {
    throw new Failure("UNAUTHENTICATED", `the token server ${realm.host} refused (${response.statusCode})`, {
      remedy: "log in with the right credentials: `bulkhead login`",
    });
  }
  const document = parseDocument(bytes, "the token server's answer");
  const token = optionalString(document.token, "token") ?? optionalString(document.access_token, "access_token");
  if (token === undefined) throw new Failure("UNAUTHENTICATED", `the token server ${realm.host} gave no token`);
  return token;
}

async function get(agent: Agent, realm: URL, ask: { scope: string; service: string; credentials: RegistryCredentials }, signal: AbortSignal) {
  const url = new URL(realm);
  if (ask.service !== "") url.searchParams.set("service", ask.service);
  if (ask.scope !== "") url.searchParams.set("scope", ask.scope);
  const { username, password } = ask.credentials;
  if (username !== undefined) url.searchParams.set("account", username);
  const headers = username === undefined ? {} : { authorization: basic(username, password ?? "") };
  return await agent.request({ origin: url.origin, path: `${url.pathname}${url.search}`, method: "GET", headers, signal });
}

async function post(agent: Agent, realm: URL, ask: { scope: string; service: string; identityToken: string }, signal: AbortSignal) {
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    service: ask.service,
    scope: ask.scope,
    client_id: "bulkhead",
    refresh_token: ask.identityToken,
  }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return await agent.request({ origin: realm.origin, path: `${realm.pathname}${realm.search}`, method: "POST", headers, body, signal });
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
