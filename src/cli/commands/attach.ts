import { Failure } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { DEFAULT_DETACH_KEYS } from "../terminal/detach-keys.ts";
import { beginSession, requireTerminalInput } from "../terminal/session.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD",
  description: "Join a running workload's input and output. The exit code is the workload's own.",
  options: [
    { name: "detach-keys", kind: "text", value: "keys", help: "Keys that let go of the terminal", initially: "ctrl-p,ctrl-q" },
    { name: "no-stdin", kind: "flag", help: "Only watch" },
    { name: "sig-proxy", kind: "flag", help: "Pass signals on to the workload", initially: "true" },
  ],
  least: 1,
  most: 1,
  completes: "running",
  run: async ({ flags, args, client }) => {
    const reference = args[0] as string;
    const found = await client.workloads.inspect(reference);
    if (!found.State.Running)
      throw new Failure("WRONG_STATE", `the workload ${reference} does not run`, { remedy: `start it with \`bulkhead start ${reference}\`` });
    if (found.State.Paused)
      throw new Failure("WRONG_STATE", `the workload ${reference} is paused`, { remedy: `resume it with \`bulkhead unpause ${reference}\`` });
    const terminal = found.Config.Tty ?? false;
    const stdin = !flags.on("no-stdin") && (found.Config.OpenStdin ?? false);
    requireTerminalInput(terminal, stdin);
    const attached = await client.workloads.attach(found.Id, { stdin, terminal });
    const { ended } = await client.workloads.wait(found.Id, { condition: found.HostConfig.AutoRemove ? "removed" : "not-running" });
    const proxies = !flags.given("sig-proxy") || flags.on("sig-proxy");
    const session = beginSession({
      attached,
      terminal,
      stdin,
      detachKeys: flags.text("detach-keys") ?? DEFAULT_DETACH_KEYS,
      resize: (size) => client.workloads.resizeTerminal(found.Id, size),
      ...(proxies ? { signal: (name: string) => client.workloads.kill(found.Id, name) } : {}),
    });
    if ((await session.done) === "detached") return 0;
    return (await ended).StatusCode;
  },
};
