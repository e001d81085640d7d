/** The machine as a `Sandbox`: what every supervised sandbox is, with the facets that machines have. */

import type { Log } from "../../contract/call.ts";
import type { Bundle } from "../../contract/driver.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import type { SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { placeMark } from "../../host/workload-files.ts";
import { type MicrovmBundle, placesOf } from "./bundle.ts";
import { composeProcess } from "./process.ts";

export const MICROVM_FACETS = ["exec", "pause", "resize", "top"] as const;

/** How the supervised sandbox of a bundle is reached and what it can do. */
export function sandboxOptions(
  bundle: Bundle,
  held: MicrovmBundle,
  given: { launcher: Launcher; log: Log; terminal: boolean; mainPid: number | undefined },
): SupervisedOptions {
  const places = placesOf(bundle.directory);
  return {
    workload: bundle.workload,
    identity: held.identity,
    socket: held.socket,
    exitRecord: places.exitRecord,
    terminal: given.terminal,
    mainPid: given.mainPid,
    log: given.log,
    facets: { exec: (spec) => composeProcess(spec, held.spec, "exec"), pause: true, resize: true, top: true },
    noteStart: () => placeMark(places.startMark),
    clear: async () => {
      await given.launcher.request("remove", { workload: bundle.workload, directory: bundle.directory, keepDirectory: true });
    },
  };
}
