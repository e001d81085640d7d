/** A wasm file in an image's place: taken in once for each content, under a name that tells which. */

import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { basename } from "node:path";
import type { Client, CreateDocument } from "../../sdk/src/index.ts";
import { UsageError } from "./command.ts";
import { readGivenBytes } from "./given-file.ts";

/** The document with the file's image in place of its path, and the boundary that runs it where none was asked for; as it was for any other image. */
export async function withModuleFile(client: Client, document: CreateDocument): Promise<CreateDocument> {
  const path = document.Image;
  if (path === undefined) return document;
  if (!isModuleFile(path)) {
    // A word that reads like a file's name and is none would else be asked of a registry.
    if (/^[^/:@]+\.wasm$/.test(path) && !(await client.images.exists(path)))
      throw new UsageError(`there is no file ${JSON.stringify(path)} here, and no image of that name`, "give the module's path, or pull the image first");
    return document;
  }
  const bytes = readGivenBytes(path);
  const name = basename(path, ".wasm")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  const reference = `module/${name === "" ? "unnamed" : name}:${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}`;
  if (!(await client.images.exists(reference))) {
    for await (const line of client.images.import(chunks(bytes), { reference })) void line;
  }
  const asked = document.HostConfig?.Isolation ?? document.HostConfig?.Runtime;
  return { ...document, Image: reference, HostConfig: { ...document.HostConfig, ...(asked === undefined || asked === "" ? { Isolation: "wasm" } : {}) } };
}

/** Only what names a file for sure: an image may be called `x.wasm` too, but none begins with `.` or `/`. */
function isModuleFile(path: string): boolean {
  if (!path.endsWith(".wasm")) return false;
  if (/^[./]/.test(path)) return true;
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

async function* chunks(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
