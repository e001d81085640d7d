import type { Command, Invocation } from "../command.ts";
import { printLine } from "../output.ts";
import { exitCodeOf, reportFailure } from "../report.ts";
import { parseVariables, readVariableFile } from "../specs/environment.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../terminal/detach-keys.ts";
import { findScreenSize } from "../terminal/screen.ts";
import { beginSession, requireTerminalInput } from "../terminal/session.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD COMMAND [ARG...]",
  description: "Run a further command in a running workload. The exit code is the command's own.",
  options: [
    { name: "detach", short: "d", kind: "flag", help: "Run in the background" },
    { name: "detach-keys", kind: "text", value: "keys", help: "Keys that let go of the terminal", initially: "ctrl-p,ctrl-q" },
    { name: "env", short: "e", kind: "list", value: "name[=value]", help: "Set a variable; a name alone passes yours on" },
    { name: "env-file", kind: "list", value: "file", help: "Set variables from a file", completes: "files" },
    { name: "interactive", short: "i", kind: "flag", help: "Keep stdin open" },
    { name: "privileged", kind: "flag", help: "Every capability" },
    { name: "tty", short: "t", kind: "flag", help: "Give it a terminal" },
    { name: "user", short: "u", kind: "text", value: "user[:group]", help: "User that the command runs as" },
    { name: "workdir", short: "w", kind: "text", value: "path", help: "Working directory" },
  ],
  examples: [
    { command: "bulkhead exec -it web sh", says: "a shell in it" },
    { command: "bulkhead exec -u 1000 -w /srv web ls -l", says: "one command, as another user" },
  ],
  least: 2,
  stopsAtArgument: true,
  completes: "running",
  run: async (invocation) => {
    try {
      return await exec(invocation);
    } catch (thrown) {
      reportFailure(thrown, "exec");
      return exitCodeOf(thrown, 1);
    }
  },
};

async function exec({ flags, args, client }: Invocation): Promise<number> {
  const [reference = "", ...words] = args;
  const terminal = flags.on("tty");
  const detach = flags.on("detach");
  const stdin = flags.on("interactive") && !detach;
  const detachKeys = flags.text("detach-keys") ?? DEFAULT_DETACH_KEYS;
  parseDetachKeys(detachKeys);
  requireTerminalInput(terminal, stdin);
  const user = flags.text("user");
  const workdir = flags.text("workdir");
  const id = await client.execs.create(reference, {
    Cmd: words,
    Env: [...flags.list("env-file").flatMap((path) => readVariableFile(path, process.env)), ...parseVariables(flags.list("env"), process.env)],
    Tty: terminal,
    AttachStdin: stdin,
    AttachStdout: !detach,
    AttachStderr: !detach,
    ...(user === undefined ? {} : { User: user }),
    ...(workdir === undefined ? {} : { WorkingDir: workdir }),
    ...(flags.on("privileged") ? { Privileged: true } : {}),
    ...(flags.given("detach-keys") ? { DetachKeys: detachKeys } : {}),
  });
  if (detach) {
    await client.execs.startDetached(id, { terminal });
    return 0;
  }
  const attached = await client.execs.start(id, { terminal, terminalSize: terminal ? findScreenSize() : undefined });
  const session = beginSession({ attached, terminal, stdin, detachKeys, resize: (size) => client.execs.resizeTerminal(id, size) });
  if ((await session.done) === "detached") {
    printLine("");
    return 0;
  }
  return client.execs.exitCode(id);
}
