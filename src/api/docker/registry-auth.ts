/** `X-Registry-Auth`: credentials that the client took from its own configuration. Never logged, never kept. */

import { Type } from "@sinclair/typebox";
import { Failure } from "../../contract/failure.ts";
import type { RegistryCredentials } from "../../images/index.ts";
import { parseJson, shape } from "../body.ts";
import { present } from "./present.ts";

const text = Type.Optional(Type.String());
const credentials = shape(Type.Object({ username: text, password: text, identitytoken: text, registrytoken: text, auth: text }));

/** Base64url of a JSON object; absent, and an empty one, is nobody. Rejects INVALID_SPEC for anything else. */
export function readCredentials(header: string | readonly string[] | undefined): RegistryCredentials | undefined {
  if (typeof header !== "string" || header === "") return undefined;
  let fields: { username?: string; password?: string; identitytoken?: string; registrytoken?: string; auth?: string };
  try {
    fields = parseJson(Buffer.from(header, "base64"), credentials);
  } catch (cause) {
    throw new Failure("INVALID_SPEC", "the header X-Registry-Auth is not a base64 JSON object", { cause });
  }
  const [username, password] = fields.auth ? splitAuth(fields.auth) : [fields.username, fields.password];
  const found = present({
    username: username || undefined,
    password: password || undefined,
    identityToken: fields.identitytoken || undefined,
    registryToken: fields.registrytoken || undefined,
  });
  return Object.keys(found).length === 0 ? undefined : found;
}

function splitAuth(auth: string): readonly [string | undefined, string | undefined] {
  const plain = Buffer.from(auth, "base64").toString("utf8");
  const colon = plain.indexOf(":");
  return colon < 0 ? [undefined, undefined] : [plain.slice(0, colon), plain.slice(colon + 1)];
}
