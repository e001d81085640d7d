/** A workload's state in Docker's words. */

import type { WorkloadView } from "../../engine/index.ts";
import { humanDuration } from "./duration.ts";

/** How Go writes the instant that never was. */
export const NEVER = "0001-01-01T00:00:00Z";

/** `State` of an inspect. */
export function stateJson(view: WorkloadView): object {
  const standing = isStanding(view);
  return {
    Status: view.state,
    Running: standing,
    Paused: view.state === "paused",
    Restarting: view.state === "restarting",
    OOMKilled: view.exit?.outOfMemory ?? false,
    Dead: view.state === "dead",
    Pid: standing ? (view.hostPid ?? 0) : 0,
    ExitCode: standing ? 0 : (view.exit?.code ?? 0),
    Error: view.error ?? "",
    StartedAt: view.startedAt ?? NEVER,
    FinishedAt: view.finishedAt ?? NEVER,
    ...(view.health === "none" ? {} : { Health: { Status: view.health, FailingStreak: 0, Log: [] } }),
  };
}

/** Docker counts the paused and the restarting among the running. */
export function isStanding(view: WorkloadView): boolean {
  return view.state === "running" || view.state === "paused" || view.state === "restarting";
}

/** The column STATUS of `docker ps`: `Up 3 minutes (healthy)`, `Exited (137) 2 hours ago`. */
export function statusText(view: WorkloadView, now: number): string {
  const since = (at: string | undefined) => humanDuration(Math.max(0, now - Date.parse(at ?? "")));
  const code = view.exit?.code ?? 0;
  switch (view.state) {
    case "created":
      return "Created";
    case "running":
      return `Up ${since(view.startedAt)}${healthText(view)}`;
    case "paused":
      return `Up ${since(view.startedAt)} (Paused)`;
    case "restarting":
      return `Restarting (${code}) ${since(view.finishedAt)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "exited":
      return view.finishedAt === undefined ? `Exited (${code})` : `Exited (${code}) ${since(view.finishedAt)} ago`;
  }
}

function healthText(view: WorkloadView): string {
  if (view.health === "none") return "";
  return view.health === "starting" ? " (health: starting)" : ` (${view.health})`;
}
