/** The engine's events in Docker's words. One that Docker has no word for keeps its own. */

import type { EngineEvent } from "../../engine/index.ts";

export interface DockerEvent {
  readonly type: string;
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const TYPES: Readonly<Record<EngineEvent["kind"], string>> = {
  workload: "container",
  image: "image",
  network: "network",
  volume: "volume",
  daemon: "daemon",
};

const ACTIONS: Readonly<Record<EngineEvent["kind"], Readonly<Record<string, string>>>> = {
  workload: {
    created: "create",
    started: "start",
    died: "die",
    stopped: "stop",
    killed: "kill",
    paused: "pause",
    resumed: "unpause",
    restarted: "restart",
    renamed: "rename",
    removed: "destroy",
    attached: "attach",
    detached: "detach",
    resized: "resize",
    updated: "update",
    "files-read": "archive-path",
    "files-written": "extract-to-dir",
    "out-of-memory": "oom",
    "exec-created": "exec_create",
    "exec-started": "exec_start",
    "exec-died": "exec_die",
    "exec-detached": "exec_detach",
    "health-changed": "health_status",
    pruned: "prune",
  },
  image: {
    pulled: "pull",
    pushed: "push",
    tagged: "tag",
    untagged: "untag",
    deleted: "delete",
    loaded: "load",
    imported: "import",
    saved: "save",
    pruned: "prune",
  },
  network: { created: "create", joined: "connect", left: "disconnect", removed: "destroy", pruned: "prune" },
  volume: { created: "create", mounted: "mount", unmounted: "unmount", removed: "destroy", pruned: "prune" },
  daemon: { reloaded: "reload" },
};

/** Names of attributes that differ. */
const ATTRIBUTES: Readonly<Record<string, string>> = { execId: "execID" };

export function translateEvent(event: EngineEvent): DockerEvent {
  const attributes = Object.fromEntries(Object.entries(event.attributes).map(([name, value]) => [ATTRIBUTES[name] ?? name, value]));
  const action = ACTIONS[event.kind][event.name] ?? event.name;
  return { type: TYPES[event.kind], action: `${action}${detailOf(event)}`, id: event.subject, attributes };
}

/** Docker writes some details into the action itself. */
function detailOf(event: EngineEvent): string {
  if (event.name === "health-changed") return `: ${event.attributes.health ?? "starting"}`;
  if (event.name === "exec-created" || event.name === "exec-started") return event.attributes.command === undefined ? "" : `: ${event.attributes.command}`;
  return "";
}
