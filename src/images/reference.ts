/**
 * Names of images, by the grammar of the distribution project (github.com/distribution/reference): what a user types
 * (`alpine`, `localhost:5000/app:1`), the full form behind it, and the familiar form that is shown.
 */

import { Failure } from "../contract/failure.ts";

export interface Reference {
  /** `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** `library/alpine`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: string;
}

const DEFAULT_DOMAIN = "docker.io";
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DOMAIN = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const PATH = new RegExp(`^${PART}(?:/${PART})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[a-f0-9]{64}$/;

/** Rejects INVALID_SPEC. Without tag and digest neither is filled in. */
export function parseReference(text: string): Reference {
  const refuse = (why: string) =>
    new Failure("INVALID_SPEC", `invalid reference format: ${JSON.stringify(text.slice(0, 200))}: ${why}`, {
      remedy: "write it as NAME[:TAG] or NAME@sha256:DIGEST, in lower case",
    });
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const tagged = colon > named.lastIndexOf("/");
  const tag = tagged ? named.slice(colon + 1) : undefined;
  const { domain, path } = splitDomain(tagged ? named.slice(0, colon) : named);
  if (digest !== undefined && !DIGEST.test(digest)) throw refuse("its digest is not sha256 with 64 hexadecimal digits");
  if (tag !== undefined && !TAG.test(tag)) throw refuse("its tag is not of letters, digits, '_', '.' and '-'");
  if (path !== path.toLowerCase()) throw refuse("repository name must be lowercase");
  if (!DOMAIN.test(domain) || !PATH.test(path)) throw refuse("its name is not a repository's");
  if (domain.length + path.length > 254) throw refuse("its name is longer than 255 characters");
  if (at < 0 && !tagged && /^[a-f0-9]{64}$/.test(text)) throw refuse("64 hexadecimal digits are an id, not a name");
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (slash < 0 || !isDomain) return { domain: DEFAULT_DOMAIN, path: name.includes("/") ? name : `library/${name}` };
  if (first !== DEFAULT_DOMAIN && first !== "index.docker.io") return { domain: first, path: name.slice(slash + 1) };
  const path = name.slice(slash + 1);
  return { domain: DEFAULT_DOMAIN, path: path.includes("/") ? path : `library/${path}` };
}

/** With `latest` where neither tag nor digest was said. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

/** `docker.io/library/alpine`. */
export function repositoryOf(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The one spelling of a tagged name: the key of tags. Rejects where there is a digest or no tag. */
export function tagKey(reference: Reference): string {
  const { tag, digest } = withDefaultTag(reference);
  if (tag === undefined || digest !== undefined) throw new Failure("INVALID_SPEC", "a tag cannot be named by a digest", { remedy: "write it as NAME[:TAG]" });
  return `${repositoryOf(reference)}:${tag}`;
}

/** As people write it: `alpine:latest`, `user/app@sha256:…`. */
export function familiar(reference: Reference): string {
  const { domain, path, tag, digest } = reference;
  const name = domain === DEFAULT_DOMAIN ? path.replace(/^library\/(?=[^/]+$)/, "") : `${domain}/${path}`;
  return `${name}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
