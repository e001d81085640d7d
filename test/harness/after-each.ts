/** After each integration test: processes, mounts, control groups, namespaces, taps, veths, firewall and files are those of living workloads. */

import { afterEach, expect } from "vitest";
import { openRoots } from "./open-roots.ts";

afterEach(async () => {
  for (const root of openRoots()) expect(await root.findStrays(), "the test leaves nothing on the host").toEqual([]);
});
