/**
 * A dockerd of our own for the time of a measurement: own data, own socket, in whatever namespaces this program runs in. The host's
 * dockerd, if there is one, is neither asked nor disturbed.
 */

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, closeSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runToEnd } from "./command.ts";
import type { Peer } from "./peer.ts";

const START_DEADLINE_MS = 30_000;

/** Starts dockerd below `work` and loads `archive`. Rejects with its last words where it cannot start. */
export async function startDockerd(work: string, archive: string): Promise<Peer> {
  const directory = join(work, "dockerd");
  mkdirSync(directory);
  const socket = join(directory, "docker.sock");
  const log = openSync(join(directory, "log"), "w");
  const child = spawn(
    "dockerd",
    [
      "--host",
      `unix://${socket}`,
      "--data-root",
      join(directory, "data"),
      "--exec-root",
      join(directory, "exec"),
      "--pidfile",
      join(directory, "pid"),
      "--group",
      "root",
    ],
    { stdio: ["ignore", log, log] },
  );
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.on("error", () => {});
  const close = async (): Promise<void> => {
    if (child.pid === undefined || child.exitCode !== null) return;
    child.kill("SIGTERM");
    await ended;
  };
  try {
    const client: Peer["client"] = ["docker", "-H", `unix://${socket}`];
    const deadline = Date.now() + START_DEADLINE_MS;
    while (!existsSync(socket)) {
      if (child.pid === undefined || child.exitCode !== null || Date.now() > deadline) throw new Error(`dockerd did not start: ${lastWords(directory)}`);
      await sleep(100);
    }
    await runToEnd([...client, "load", "-i", archive]);
    const version = (await runToEnd([...client, "version", "--format", "{{.Server.Version}}"])).trim();
    return { id: "dockerd", version, client, resident: () => withChildren(child.pid as number), close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function lastWords(directory: string): string {
  return readFileSync(join(directory, "log"), "utf8").trim().split("\n").at(-1) ?? "it said nothing";
}

/** dockerd and the containerd that it starts for itself; not the shims, which belong to containers. */
function withChildren(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" "));
  return [pid, ...children.filter((child) => child !== "").map(Number)];
}
