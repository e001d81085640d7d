/** The container as a `Sandbox`: what every supervised sandbox is, with the facets that containers have. */

import type { Log } from "../../contract/call.ts";
import type { Bundle } from "../../contract/driver.ts";
import { findLayeredFile } from "../../host/layered-file.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import type { SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { isThere, placeMark } from "../../host/workload-files.ts";
import { type Accounts, parseAccounts } from "./accounts.ts";
import { type ContainerBundle, placesOf } from "./bundle.ts";
import { composeExec, guardsOf } from "./process.ts";

const MAX_ACCOUNT_BYTES = 1024 * 1024;
const REMEMBERED_IMAGES = 64;

/** How the supervised sandbox of a bundle is reached and what it can do. */
export function sandboxOptions(
  bundle: Bundle,
  held: ContainerBundle,
  given: { launcher: Launcher; log: Log; terminal: boolean; mainPid: number | undefined },
): SupervisedOptions {
  const places = placesOf(bundle.directory);
  const guards = guardsOf(held.spec, held.hostCapabilities);
  return {
    workload: bundle.workload,
    identity: held.identity,
    socket: held.socket,
    exitRecord: places.exitRecord,
    terminal: given.terminal,
    mainPid: given.mainPid,
    log: given.log,
    facets: { exec: (spec) => composeExec(spec, guards, readAccounts(held, places.upper)), pause: true, resize: true, top: true },
    noteStart: () => placeMark(places.startMark),
    clear: async () => {
      await given.launcher.request("remove", { workload: bundle.workload, directory: bundle.directory, keepDirectory: true });
    },
  };
}

const byImage = new Map<string, Accounts>();

/** The users and groups that the container would see; what its image says is read once per image. */
export function readAccounts(held: ContainerBundle, upper: string): Accounts {
  const { root } = held.spec;
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
