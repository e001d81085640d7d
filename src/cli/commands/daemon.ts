import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { Failure } from "../../../sdk/src/index.ts";
import { builtPath } from "../built-path.ts";
import type { Command } from "../command.ts";

/** `bin/bulkhead` starts the daemon in its own place, without this; here for those who run the bundle by hand, and for the help. */
export const command: Command = {
  usage: "[--root DIR] [--socket PATH] [--config FILE]",
  description: "Serve workloads on a unix socket until told to stop. Workloads outlive it.",
  options: [
    { name: "root", kind: "text", value: "directory", help: "Where state, images and volumes are kept", initially: "/var/lib/bulkhead", completes: "files" },
    { name: "socket", kind: "text", value: "path", help: "Where it listens", initially: "/run/bulkhead/bulkhead.sock", completes: "files" },
    { name: "config", kind: "text", value: "file", help: "Configuration", initially: "/etc/bulkhead/config.json", completes: "files" },
  ],
  examples: [{ command: "bulkhead daemon --root /srv/bulkhead --socket /run/second.sock", says: "a second one beside the first" }],
  least: 0,
  most: 0,
  run: async ({ flags }) => {
    const program = builtPath("daemon.js");
    if (!existsSync(program)) throw new Failure("UNAVAILABLE", "the daemon is not built", { remedy: "run `npm run build`" });
    const words = ["root", "socket", "config"].flatMap((name) => (flags.given(name) ? [`--${name}`, flags.text(name) ?? ""] : []));
    const child = spawn(process.execPath, ["--", program, ...words], { stdio: "inherit" });
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => child.kill(name));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => resolve(code ?? 1));
    });
  },
};
