/** Every verb: its place in the help, one line about it, and where its code is. Only the verb that is called is loaded. */

import type { Command } from "./command.ts";

export interface Verb {
  readonly group: "workloads" | "images" | "host" | "resources" | "hidden";
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const verb = (group: Verb["group"], summary: string, load: () => Promise<Command>): Verb => ({ group, summary, load });

const ps = () => import("./commands/ps.ts").then((file) => file.command);
const images = () => import("./commands/images.ts").then((file) => file.command);
const one = {
  run: () => import("./commands/run.ts").then((file) => file.command),
  create: () => import("./commands/create.ts").then((file) => file.command),
  start: () => import("./commands/start.ts").then((file) => file.command),
  stop: () => import("./commands/stop.ts").then((file) => file.command),
  restart: () => import("./commands/restart.ts").then((file) => file.command),
  kill: () => import("./commands/kill.ts").then((file) => file.command),
  rm: () => import("./commands/rm.ts").then((file) => file.command),
  logs: () => import("./commands/logs.ts").then((file) => file.command),
  cp: () => import("./commands/cp.ts").then((file) => file.command),
  exec: () => import("./commands/exec.ts").then((file) => file.command),
  debug: () => import("./commands/debug.ts").then((file) => file.command),
  attach: () => import("./commands/attach.ts").then((file) => file.command),
  stats: () => import("./commands/stats.ts").then((file) => file.command),
  top: () => import("./commands/top.ts").then((file) => file.command),
  port: () => import("./commands/port.ts").then((file) => file.command),
  wait: () => import("./commands/wait.ts").then((file) => file.command),
  pause: () => import("./commands/pause.ts").then((file) => file.pause),
  unpause: () => import("./commands/pause.ts").then((file) => file.unpause),
  rename: () => import("./commands/rename.ts").then((file) => file.command),
  update: () => import("./commands/update.ts").then((file) => file.command),
  pull: () => import("./commands/pull.ts").then((file) => file.command),
  login: () => import("./commands/login.ts").then((file) => file.login),
  logout: () => import("./commands/login.ts").then((file) => file.logout),
  push: () => import("./commands/push.ts").then((file) => file.command),
  load: () => import("./commands/load.ts").then((file) => file.command),
  save: () => import("./commands/save.ts").then((file) => file.command),
  import: () => import("./commands/import.ts").then((file) => file.command),
  tag: () => import("./commands/tag.ts").then((file) => file.command),
  rmi: () => import("./commands/rmi.ts").then((file) => file.command),
  history: () => import("./commands/history.ts").then((file) => file.command),
  info: () => import("./commands/info.ts").then((file) => file.command),
  events: () => import("./commands/events.ts").then((file) => file.command),
};
const volume = () => import("./commands/volume.ts");
const network = () => import("./commands/network.ts");
const inspect = () => import("./commands/inspect.ts");
const prune = () => import("./commands/prune.ts");
const policy = () => import("./commands/policy.ts");
const system = () => import("./commands/system.ts");

export const VERBS: Readonly<Record<string, Verb>> = {
  run: verb("workloads", "Make a workload, start it and join it", one.run),
  create: verb("workloads", "Make a workload without starting it", one.create),
  start: verb("workloads", "Start workloads", one.start),
  stop: verb("workloads", "Ask workloads to end", one.stop),
  restart: verb("workloads", "Stop and start workloads", one.restart),
  kill: verb("workloads", "Send a signal to workloads", one.kill),
  rm: verb("workloads", "Remove workloads", one.rm),
  ps: verb("workloads", "List workloads", ps),
  logs: verb("workloads", "Print what a workload has written", one.logs),
  cp: verb("workloads", "Copy files into and out of a workload", one.cp),
  exec: verb("workloads", "Run a further command in a workload", one.exec),
  debug: verb("workloads", "Run tools of another image beside a workload", one.debug),
  attach: verb("workloads", "Join a running workload", one.attach),
  inspect: verb("workloads", "Everything known of a workload, image, volume or network", () => inspect().then((file) => file.command)),
  stats: verb("workloads", "What workloads use", one.stats),
  top: verb("workloads", "List the processes of a workload", one.top),
  port: verb("workloads", "Where the ports of a workload are published", one.port),
  wait: verb("workloads", "Wait for workloads to end", one.wait),
  pause: verb("workloads", "Freeze workloads", one.pause),
  unpause: verb("workloads", "Let frozen workloads go on", one.unpause),
  rename: verb("workloads", "Rename a workload", one.rename),
  update: verb("workloads", "Change limits of running workloads", one.update),

  images: verb("images", "List images", images),
  pull: verb("images", "Fetch an image from its registry", one.pull),
  push: verb("images", "Send an image to its registry", one.push),
  login: verb("images", "Log in to a registry", one.login),
  logout: verb("images", "Forget the login of a registry", one.logout),
  load: verb("images", "Take images from an archive", one.load),
  save: verb("images", "Write images into an archive", one.save),
  import: verb("images", "Make an image from a root filesystem", one.import),
  tag: verb("images", "Name an image", one.tag),
  rmi: verb("images", "Remove images", one.rmi),
  history: verb("images", "Steps that made an image", one.history),

  doctor: verb("host", "What this host can do, and remedies", () => import("./commands/doctor.ts").then((file) => file.command)),
  compare: verb("host", "What each boundary costs on this host", () => import("./commands/compare.ts").then((file) => file.command)),
  advise: verb("host", "Which boundary a workload needs, and why", () => import("./commands/advise.ts").then((file) => file.command)),
  audit: verb("host", "What is wrong with a workload, and the fix", () => import("./commands/audit.ts").then((file) => file.command)),
  plan: verb("host", "How many hosts so many workloads need", () => import("./commands/plan.ts").then((file) => file.command)),
  daemon: verb("host", "Serve workloads", () => import("./commands/daemon.ts").then((file) => file.command)),
  events: verb("host", "What happens, as it happens", one.events),
  info: verb("host", "The daemon and its host", one.info),
  version: verb("host", "Versions of client and daemon", () => import("./commands/version.ts").then((file) => file.command)),
  completion: verb("host", "Completion for bash, zsh and fish", () => import("./commands/completion.ts").then((file) => file.command)),
  "policy show": verb("host", "Print the operator's policy", () => policy().then((file) => file.policyShow)),
  "policy test": verb("host", "Say whether a file is a policy", () => policy().then((file) => file.policyTest)),
  "policy check": verb("host", "Say whether a run would be allowed", () => policy().then((file) => file.policyCheck)),

  "container prune": verb("resources", "Remove workloads that do not run", () => prune().then((file) => file.containerPrune)),
  "image prune": verb("resources", "Remove unused images", () => prune().then((file) => file.imagePrune)),
  "volume ls": verb("resources", "List volumes", () => volume().then((file) => file.volumeList)),
  "volume create": verb("resources", "Make a volume", () => volume().then((file) => file.volumeCreate)),
  "volume rm": verb("resources", "Remove volumes", () => volume().then((file) => file.volumeRemove)),
  "volume inspect": verb("resources", "Everything known of a volume", () => inspect().then((file) => file.volumeInspect)),
  "volume prune": verb("resources", "Remove unused volumes", () => volume().then((file) => file.volumePrune)),
  "network ls": verb("resources", "List networks", () => network().then((file) => file.networkList)),
  "network inspect": verb("resources", "Everything known of a network", () => inspect().then((file) => file.networkInspect)),
  "system df": verb("resources", "What is used on disk", () => system().then((file) => file.systemDiskUse)),
  "system prune": verb("resources", "Remove what is unused", () => prune().then((file) => file.systemPrune)),
  "system reset": verb("resources", "Remove everything", () => system().then((file) => file.systemReset)),

  "container inspect": verb("hidden", "Everything known of a workload", () => inspect().then((file) => file.containerInspect)),
  "image inspect": verb("hidden", "Everything known of an image", () => inspect().then((file) => file.imageInspect)),
};

/** Docker's longer names for verbs that have a short one. */
const LONGER: Readonly<Record<string, readonly string[]>> = {
  container: [
    "run",
    "create",
    "start",
    "stop",
    "restart",
    "kill",
    "rm",
    "logs",
    "cp",
    "exec",
    "attach",
    "stats",
    "top",
    "port",
    "wait",
    "pause",
    "unpause",
    "rename",
    "update",
  ],
  image: ["pull", "push", "load", "save", "import", "tag", "history"],
  system: ["info", "events"],
};

const OTHER_NAMES: Readonly<Record<string, string>> = {
  "container ls": "ps",
  "container list": "ps",
  "container ps": "ps",
  "image ls": "images",
  "image list": "images",
  "image rm": "rmi",
  "volume list": "volume ls",
  "network list": "network ls",
};

export const GROUPS = ["container", "image", "volume", "network", "system", "policy"] as const;

/** The verb's own name for what was typed, and how many words that took; undefined where there is no such verb. */
export function findVerb(words: readonly string[]): { readonly name: string; readonly taken: number } | undefined {
  const [first = "", second = ""] = words;
  const pair = `${first} ${second}`;
  const name =
    (Object.hasOwn(OTHER_NAMES, pair) ? OTHER_NAMES[pair] : undefined) ??
    (Object.hasOwn(VERBS, pair) ? pair : Object.hasOwn(LONGER, first) && LONGER[first]?.includes(second) ? second : undefined);
  if (name !== undefined) return { name, taken: 2 };
  return Object.hasOwn(VERBS, first) ? { name: first, taken: 1 } : undefined;
}

/** Second words after a group's name. */
export function wordsOfGroup(group: string): readonly string[] {
  const own = [...Object.keys(VERBS), ...Object.keys(OTHER_NAMES)].filter((name) => name.startsWith(`${group} `)).map((name) => name.slice(group.length + 1));
  return [...new Set([...own, ...(LONGER[group] ?? [])])].sort();
}
