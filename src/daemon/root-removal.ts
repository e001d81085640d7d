/**
 * The last step of `system reset --stop`: what a daemon and its launcher kept in files goes too, once nothing is stored in them and
 * both have let go. What is not theirs by name stays, and so does a directory that holds it.
 */

import { rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lastLine } from "../host/small-file.ts";
import type { Places } from "./places.ts";

/** The daemon's own, below the root. */
const OWN = ["images", "templates", "wasm", "probe", "state"];
/** Emptied by removing what they hold, never by this. */
const EMPTIED = ["workloads", "volumes"];
/** The launcher's, below the root and in the run directory. */
const LAUNCHER = ["identity.json", "log"];
const RUN = ["seccomp", "state", "s", "oci", "supervisors", "wasm", "bridges.json"];

const PATIENCE_MS = 5000;

/** Resolves when all of it is gone. `keepLauncher`: somebody else starts and stops it, and its own files are not ours to take. */
export async function removeRoot(places: Places, options: { readonly keepLauncher: boolean }): Promise<void> {
  const { root, run } = places;
  for (const name of OWN) removeTree(join(root, name));
  for (const name of EMPTIED) removeEmpty(join(root, name));
  if (options.keepLauncher || !(await launcherEnded(root))) return;
  for (const name of LAUNCHER) removeTree(join(root, name));
  for (const name of RUN) removeTree(join(run, name));
  for (const path of [places.launcherSocket, places.socket, join(root, "launcher.lock")]) removeTree(path);
  removeEmpty(run);
  removeEmpty(root);
}

/** False where it still runs after a while: what it holds must not be taken from under it. */
async function launcherEnded(root: string): Promise<boolean> {
  const pid = Number(readText(join(root, "launcher.lock")));
  if (!(pid > 0)) return true;
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await sleep(10))
    if (!readText(`/proc/${pid}/comm`).startsWith("bulkhead-launch")) return true;
  return false;
}

/** One line, bounded whatever lies there; empty where nothing does. */
function readText(path: string): string {
  try {
    return lastLine(path);
  } catch {
    return "";
  }
}

function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** A directory that holds something, or that something is mounted on, stays. */
function removeEmpty(path: string): void {
  try {
    if (statSync(path).isDirectory()) rmdirSync(path);
  } catch {
    // It is not there, or it is not empty.
  }
}
