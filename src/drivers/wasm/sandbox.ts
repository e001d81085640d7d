/** The instance as a `Sandbox`: what every supervised sandbox is, with the facets that instances have. */

import type { Log } from "../../contract/call.ts";
import type { Bundle } from "../../contract/driver.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import type { SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { placeMark } from "../../host/workload-files.ts";
import { placesOf, type WasmBundle } from "./bundle.ts";

/** How the supervised sandbox of a bundle is reached and what it can do. */
export function sandboxOptions(bundle: Bundle, held: WasmBundle, given: { launcher: Launcher; log: Log }): SupervisedOptions {
  const places = placesOf(bundle.directory);
  return {
    workload: bundle.workload,
    identity: held.identity,
    socket: held.socket,
    exitRecord: places.exitRecord,
    terminal: false,
    // Its runner is no process of its own: no pid on the host stands for it.
    mainPid: undefined,
    log: given.log,
    facets: { pause: true, resize: true, top: false },
    noteStart: () => placeMark(places.startMark),
    clear: async () => {
      await given.launcher.request("remove", { workload: bundle.workload, directory: bundle.directory, keepDirectory: true });
    },
  };
}
