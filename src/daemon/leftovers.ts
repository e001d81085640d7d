/** What a crash of daemon or host left and no record knows: directories of workloads, and names on the host that carry our identity. */

import { readdirSync } from "node:fs";
import { toFailure } from "../contract/failure.ts";
import type { Log } from "../contract/call.ts";
import type { Launcher } from "../host/launcher-client.ts";

/** Removes everything of this root that belongs to none of the workloads named. A failure is logged and tried again at the next start. */
export async function removeLeftovers(launcher: Launcher, root: string, keep: ReadonlySet<string>, log: Log): Promise<void> {
  for (const folder of ["workloads", "probe"]) {
    for (const name of listDirectory(`${root}/${folder}`)) {
      if (keep.has(name) || !/^[0-9a-f]{64}$/.test(name)) continue;
      try {
        await launcher.request("remove", { workload: name, directory: `${root}/${folder}/${name}`, keepDirectory: false });
        log.info({ workload: name }, "removed what an earlier daemon left half-made");
      } catch (thrown) {
        log.warn({ workload: name, error: toFailure(thrown).message }, "a leftover could not be removed");
      }
    }
  }
  try {
    const { removed, stuck = [] } = await launcher.request("sweep", { keep: [...keep] });
    for (const { name, failure } of stuck) log.warn({ name, error: failure.what }, "what no workload owns could not be removed");
    if (removed.length > 0) log.info({ removed }, "swept what no workload owns");
  } catch (thrown) {
    log.warn({ error: toFailure(thrown).message }, "the host could not be swept");
  }
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
