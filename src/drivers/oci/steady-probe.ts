/** Probes whose launcher goes away meanwhile are made again: what failed then says nothing of this host, and nothing weaker shall stand in for it. */

import type { Call } from "../../contract/call.ts";
import type { Launcher } from "../../host/launcher-client.ts";

const MOST_LAUNCHERS = 3;

export async function probeSteadily<T>(launcher: Launcher, call: Call, probe: () => Promise<T>): Promise<T> {
  for (let launchers = 1; ; launchers++) {
    const asked = await launcher.hello().catch(() => undefined);
    const probed = await probe();
    if (asked === undefined || launchers === MOST_LAUNCHERS || call.signal.aborted) return probed;
    const now = await launcher.hello().catch(() => undefined);
    if (now?.pid === asked.pid) return probed;
  }
}
