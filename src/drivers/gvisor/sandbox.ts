/** The gVisor sandbox as a `Sandbox`: what every supervised sandbox is, with the facets that this boundary has. */

import type { Log } from "../../contract/call.ts";
import type { Bundle } from "../../contract/driver.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import type { SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { placeMark } from "../../host/workload-files.ts";
import { readAccounts } from "../oci/image-accounts.ts";
import { composeExec, guardsOf } from "../oci/process.ts";
import { type GvisorBundle, placesOf } from "./bundle.ts";

/** How the supervised sandbox of a bundle is reached and what it can do. */
export function sandboxOptions(
  bundle: Bundle,
  held: GvisorBundle,
  given: { launcher: Launcher; log: Log; terminal: boolean; mainPid: number | undefined },
): SupervisedOptions {
  const places = placesOf(bundle.directory);
  const guards = guardsOf(held.spec, held.spec.security.capabilities);
  return {
    workload: bundle.workload,
    identity: held.identity,
    socket: held.socket,
    exitRecord: places.exitRecord,
    terminal: given.terminal,
    mainPid: given.mainPid,
    log: given.log,
    facets: { exec: (spec) => composeExec(spec, guards, readAccounts(held.spec.root, places.upper)), pause: true, resize: true, top: true },
    noteStart: () => placeMark(places.startMark),
    clear: async () => {
      await given.launcher.request("remove", { workload: bundle.workload, directory: bundle.directory, keepDirectory: true });
    },
  };
}
