/** The users and groups of an image, as far as a workload has not changed them. */

import type { RootSource } from "../../contract/spec.ts";
import { findLayeredFile } from "../../host/layered-file.ts";
import { isThere } from "../../host/workload-files.ts";
import { type Accounts, parseAccounts } from "./accounts.ts";

const MAX_ACCOUNT_BYTES = 1024 * 1024;
const REMEMBERED_IMAGES = 64;

const byImage = new Map<string, Accounts>();

/** The users and groups that the workload would see; what its image says is read once per image. */
export function readAccounts(root: RootSource, upper: string): Accounts {
  const layers = root.form === "directories" ? root.layers : [];
  if (isThere(`${upper}/etc`)) return readFrom([upper, ...layers]);
  const key = layers.join("\n");
  let accounts = byImage.get(key);
  if (accounts === undefined) {
    accounts = readFrom(layers);
    const oldest = byImage.size < REMEMBERED_IMAGES ? undefined : byImage.keys().next().value;
    if (oldest !== undefined) byImage.delete(oldest);
    byImage.set(key, accounts);
  }
  return accounts;
}

function readFrom(layers: readonly string[]): Accounts {
  const read = (path: string) => findLayeredFile(layers, path, MAX_ACCOUNT_BYTES)?.text ?? "";
  return parseAccounts(read("/etc/passwd"), read("/etc/group"));
}
