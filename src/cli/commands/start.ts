import { UsageError, type Command, type Invocation } from "../command.ts";
import { exitCodeOf, forEach, reportFailure } from "../report.ts";
import { DEFAULT_DETACH_KEYS } from "../terminal/detach-keys.ts";
import { beginSession, requireTerminalInput } from "../terminal/session.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [WORKLOAD...]",
  description: "Start workloads that do not run. With -a or -i the exit code is the workload's own.",
  options: [
    { name: "attach", short: "a", kind: "flag", help: "Join its output and pass signals on" },
    { name: "detach-keys", kind: "text", value: "keys", help: "Keys that let go of the terminal", initially: "ctrl-p,ctrl-q" },
    { name: "interactive", short: "i", kind: "flag", help: "Join its stdin as well" },
  ],
  examples: [{ command: "bulkhead start -ai job", says: "start and join" }],
  least: 1,
  completes: "workloads",
  run: async (invocation) => {
    const { flags, args, client } = invocation;
    if (!flags.on("attach") && !flags.on("interactive")) {
      return forEach(args, "start", async (reference) => {
        await client.workloads.start(reference);
        return reference;
      });
    }
    if (args.length > 1) throw new UsageError("only one workload can be joined at a time");
    return startJoined(invocation);
  },
};

async function startJoined({ flags, args, client }: Invocation): Promise<number> {
  const reference = args[0] as string;
  const found = await client.workloads.inspect(reference);
  const terminal = found.Config.Tty ?? false;
  const stdin = flags.on("interactive") && (found.Config.OpenStdin ?? false);
  requireTerminalInput(terminal, stdin);
  const detachKeys = flags.text("detach-keys") ?? DEFAULT_DETACH_KEYS;
  const attached = await client.workloads.attach(found.Id, { stdin, terminal });
  const removes = found.HostConfig.AutoRemove ?? false;
  const { ended } = await client.workloads.wait(found.Id, { condition: removes ? "removed" : "next-exit" });
  try {
    await client.workloads.start(found.Id);
  } catch (thrown) {
    attached.close();
    reportFailure(thrown, "start");
    return exitCodeOf(thrown, 1);
  }
  const session = beginSession({
    attached,
    terminal,
    stdin,
    detachKeys,
    resize: (size) => client.workloads.resizeTerminal(found.Id, size),
    signal: (name) => client.workloads.kill(found.Id, name),
  });
  if ((await session.done) === "detached") return 0;
  return (await ended).StatusCode;
}
