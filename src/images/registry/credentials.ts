/** Credentials for a registry: those handed in, else those of Docker's client configuration (`docker login` writes them). */

import { readFile } from "node:fs/promises";
import { asFields, optionalString, parseDocument } from "../document.ts";
import type { RegistryCredentials } from "../index.ts";

/** Empty where there are none. A configuration that cannot be read is as good as none: `note` says so. */
export async function findCredentials(domain: string, file: string, note: (what: string) => void): Promise<RegistryCredentials> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return {};
  try {
    const document = parseDocument(text, file);
    const auths = Object.entries(asFields(document.auths ?? {}, "auths"));
    const entry = auths.find(([key]) => hostOf(key) === canonical(domain))?.[1];
    const found = entry === undefined ? {} : readEntry(entry);
    if (Object.keys(found).length === 0 && usesHelper(document, domain))
      note(`${file} keeps the credentials of ${domain} in a helper program, which is not asked`);
    return found;
  } catch {
    note(`${file} cannot be read as Docker's client configuration`);
    return {};
  }
}

function readEntry(value: unknown): RegistryCredentials {
  const entry = asFields(value, "an entry of auths");
  const identityToken = optionalString(entry.identitytoken, "identitytoken");
  const registryToken = optionalString(entry.registrytoken, "registrytoken");
  const [username, password] = userAndPassword(entry.auth, entry.username, entry.password);
  return {
    ...(username === undefined || password === undefined ? {} : { username, password }),
    ...(identityToken === undefined ? {} : { identityToken }),
    ...(registryToken === undefined ? {} : { registryToken }),
  };
}

function userAndPassword(auth: unknown, username: unknown, password: unknown): readonly [string | undefined, string | undefined] {
  const packed = optionalString(auth, "auth");
  if (packed === undefined) return [optionalString(username, "username"), optionalString(password, "password")];
  const text = Buffer.from(packed, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = text.indexOf(":");
  return colon < 0 ? [undefined, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

function usesHelper(document: { readonly [name: string]: unknown }, domain: string): boolean {
  return document.credsStore !== undefined || asFields(document.credHelpers ?? {}, "credHelpers")[domain] !== undefined;
}

/** Keys are hosts, or the addresses that old clients wrote: `https://index.docker.io/v1/`. */
export function hostOf(key: string): string {
  return canonical(key.replace(/^https?:\/\//, "").split("/")[0] ?? "");
}

function canonical(host: string): string {
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}
