/** The options of `run` and `create`: Docker's names and meanings, and ours for the boundary. */

import type { OptionDefinition } from "../command.ts";

const list = (name: string, value: string, help: string, more: Partial<OptionDefinition> = {}): OptionDefinition => ({
  name,
  kind: "list",
  value,
  help,
  ...more,
});
const text = (name: string, value: string, help: string, more: Partial<OptionDefinition> = {}): OptionDefinition => ({
  name,
  kind: "text",
  value,
  help,
  ...more,
});
const flag = (name: string, help: string, more: Partial<OptionDefinition> = {}): OptionDefinition => ({ name, kind: "flag", help, ...more });
const number = (name: string, value: string, help: string, more: Partial<OptionDefinition> = {}): OptionDefinition => ({
  name,
  kind: "number",
  value,
  help,
  ...more,
});

export const ISOLATIONS = ["default", "container", "microvm", "gvisor", "wasm", "vm", "auto"] as const;

/** For both `run` and `create`, by letter. */
export const CREATE_OPTIONS: readonly OptionDefinition[] = [
  list("add-host", "name:address", "Add a line to /etc/hosts"),
  list("annotation", "key=value", "Add an annotation for the engine beneath"),
  list("attach", "stream", "Join stdin, stdout or stderr", { short: "a" }),
  list("cap-add", "name", "Add a capability"),
  list("cap-drop", "name", "Drop a capability; ALL drops every one"),
  text("cgroupns", "host|private", "Cgroup namespace"),
  text("cidfile", "file", "Write the workload's id there", { completes: "files" }),
  flag("cold", "Boot a machine, though there be a template to begin from"),
  number("cpu-shares", "weight", "Relative share of processor time, 2 to 262144", { short: "c" }),
  text("cpus", "number", "Processors' worth of time: 0.5 is half of one"),
  text("cpuset-cpus", "list", "Processors that may be used: 0-2,5"),
  list("device", "path[:path][:rwm]", "Give it a device of the host"),
  list("dns", "address", "Name server"),
  list("dns-option", "option", "Option of resolv.conf"),
  list("dns-search", "domain", "Search domain"),
  text("domainname", "name", "Domain name inside"),
  text("entrypoint", "program", "Program to run instead of the image's"),
  list("env", "name[=value]", "Set a variable; a name alone passes yours on", { short: "e" }),
  list("env-file", "file", "Set variables from a file", { completes: "files" }),
  list("expose", "port", "Note a port without publishing it"),
  list("group-add", "group", "Join another group"),
  text("health-cmd", "command", "Command that tells whether it is healthy"),
  text("health-interval", "duration", "Time between health checks"),
  number("health-retries", "count", "Failures in a row until it is unhealthy"),
  text("health-start-period", "duration", "Time to start in which failures do not count"),
  text("health-timeout", "duration", "Longest time for one health check"),
  text("hostname", "name", "Host name inside", { short: "h" }),
  flag("init", "Run a small init that reaps processes and forwards signals"),
  flag("interactive", "Keep stdin open", { short: "i" }),
  text("ipc", "mode", "IPC namespace: host or private"),
  text("isolation", "boundary", "What stands between the workload and this host; never replaced by a weaker one", { choices: ISOLATIONS }),
  list("label", "key=value", "Set a label", { short: "l" }),
  list("label-file", "file", "Set labels from a file", { completes: "files" }),
  text("log-driver", "name", "json-file or none"),
  list("log-opt", "key=value", "max-size=10m, max-file=3"),
  text("memory", "bytes", "Most memory: 64m, 1g", { short: "m" }),
  text("memory-reservation", "bytes", "Memory that is kept for it under pressure"),
  text("memory-swap", "bytes", "Memory and swap together; -1 is unlimited swap"),
  list("mount", "mount", "type=bind|volume|tmpfs,source=…,target=…[,readonly]"),
  text("name", "name", "Name of the workload"),
  text("network", "name", "bridge, none, host, or a network's name", { completes: "networks", initially: "bridge" }),
  flag("no-healthcheck", "No health checks, whatever the image says"),
  number("oom-score-adj", "score", "-1000 to 1000"),
  text("pid", "mode", "PID namespace: host"),
  number("pids-limit", "count", "Most processes; -1 is without limit"),
  text("platform", "os/arch", "Platform of a multi-platform image"),
  flag("privileged", "Every capability and device: inside a container this ends isolation"),
  list("publish", "[address:][port:]port[/proto]", "Publish a port on the host", { short: "p" }),
  flag("publish-all", "Publish every exposed port on a free port", { short: "P" }),
  text("pull", "when", "Pull the image: always, missing or never", { choices: ["always", "missing", "never"], initially: "missing" }),
  flag("quiet", "No progress while pulling", { short: "q" }),
  flag("read-only", "Read-only root filesystem"),
  text("restart", "policy", "no, always, unless-stopped, on-failure[:times]", { initially: "no" }),
  flag("rm", "Remove it when it has ended, with its anonymous volumes"),
  text("runtime", "name", "Docker's word for a boundary: as --isolation"),
  list("security-opt", "option", "no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE"),
  text("shm-size", "bytes", "Size of /dev/shm"),
  text("stop-signal", "signal", "Signal that asks it to end"),
  number("stop-timeout", "seconds", "Time between that signal and SIGKILL"),
  list("storage-opt", "key=value", "size=10g: most bytes in its writable layer"),
  list("sysctl", "key=value", "Kernel parameter inside"),
  list("tmpfs", "path[:options]", "Mount a tmpfs"),
  flag("tty", "Give it a terminal", { short: "t" }),
  list("ulimit", "name=soft[:hard]", "Resource limit"),
  text("user", "user[:group]", "User that the command runs as", { short: "u" }),
  text("userns", "mode", "User namespace: host"),
  text("uts", "mode", "UTS namespace: host"),
  list("volume", "[source:]target[:options]", "Mount a directory of the host or a volume", { short: "v", completes: "files" }),
  text("workdir", "path", "Working directory", { short: "w" }),
];

/** For `run` alone. */
export const RUN_OPTIONS: readonly OptionDefinition[] = [
  ...CREATE_OPTIONS,
  flag("detach", "Run in the background and print the id", { short: "d" }),
  text("detach-keys", "keys", "Keys that let go of the terminal", { initially: "ctrl-p,ctrl-q" }),
  flag("sig-proxy", "Pass signals on to the workload", { initially: "true" }),
].sort((left, right) => (left.name < right.name ? -1 : 1));
