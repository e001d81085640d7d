/** Tells the service manager that this process serves (sd_notify(3), by systemd's own program: Node has no datagram sockets of this kind). */

import { spawn } from "node:child_process";

/** Resolves when it has been told; at once where nobody asked to be told. Never rejects: to be ready matters more than to be believed. */
export function announceReady(environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  const socket = environment["NOTIFY_SOCKET"];
  if (socket === undefined) return Promise.resolve();
  delete environment["NOTIFY_SOCKET"]; // nobody started from here speaks in the daemon's name
  return new Promise((resolve) => {
    const child = spawn("systemd-notify", ["--ready"], { stdio: "ignore", env: { PATH: "/usr/bin:/bin", NOTIFY_SOCKET: socket } });
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
}
