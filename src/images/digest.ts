/** Digests: names made of contents. Only sha256, which is what every registry and tool writes. */

import { createHash } from "node:crypto";
import { Failure } from "../contract/failure.ts";

const FORM = /^sha256:[a-f0-9]{64}$/;

export function isDigest(text: unknown): text is string {
  return typeof text === "string" && FORM.test(text);
}

/** Rejects CORRUPT_DATA; `what` says whose digest it is. */
export function parseDigest(value: unknown, what: string): string {
  if (isDigest(value)) return value;
  throw new Failure("CORRUPT_DATA", `${what} has no sha256 digest but ${JSON.stringify(value)?.slice(0, 100)}`);
}

/** The 64 digits: safe as a file's name. */
export function hexOf(digest: string): string {
  return parseDigest(digest, "a blob").slice("sha256:".length);
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The identity of a layer together with all below it (OCI image specification, "Layer ChainID"). Lowest first. */
export function chainIds(diffIds: readonly string[]): readonly string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
