/** podman with storage of its own for the time of a measurement: it has no daemon, each command does the whole work. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "./command.ts";
import type { Peer } from "./peer.ts";

/** Loads `archive` into a store below `work`. Rejects where podman is not here or cannot run anything. */
export async function openPodman(work: string, archive: string): Promise<Peer> {
  const directory = join(work, "podman");
  for (const part of ["", "root", "run", "tmp"]) mkdirSync(join(directory, part));
  // Its default of 1,048,576 open files is above what some kernels allow even root; it is no part of what is measured.
  const configuration = join(directory, "containers.conf");
  writeFileSync(configuration, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n');
  process.env["CONTAINERS_CONF"] = configuration;
  const client: Peer["client"] = [
    "podman",
    "--root",
    join(directory, "root"),
    "--runroot",
    join(directory, "run"),
    "--tmpdir",
    join(directory, "tmp"),
    "--cgroup-manager",
    "cgroupfs",
    "--events-backend",
    "none",
  ];
  await runToEnd([...client, "load", "-i", archive]);
  const version = (await runToEnd([...client, "version", "--format", "{{.Client.Version}}"])).trim();
  return { id: "podman", version, client, resident: () => [], close: async () => void (await runToEnd([...client, "rm", "--all", "--force", "--time", "0"])) };
}
