import type { Command, Invocation } from "../command.ts";
import { isTerminal } from "../output.ts";
import { withImage } from "../pull.ts";
import { exitCodeOf, reportFailure } from "../report.ts";
import { parseVariables } from "../specs/environment.ts";
import { findScreenSize } from "../terminal/screen.ts";
import { beginSession } from "../terminal/session.ts";

const TOOLS = "busybox";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [COMMAND] [ARG...]",
  description:
    "Open a shell, or run a command, beside a running workload with the files of another image: for images that have no shell. It sees the workload's processes and network; the workload's own files are at /proc/1/root. What it writes elsewhere goes with it, and it ends with its command, with you, and with the workload. The exit code is the command's own; 125 says that Bulkhead failed.",
  options: [
    { name: "env", short: "e", kind: "list", value: "name[=value]", help: "Set a variable; a name alone passes yours on" },
    { name: "image", kind: "text", value: "image", help: "Image that holds the tools", initially: TOOLS, completes: "images" },
    { name: "pull", kind: "text", value: "when", help: "Fetch the image first", initially: "missing", choices: ["always", "missing", "never"] },
    { name: "user", short: "u", kind: "text", value: "user[:group]", help: "User that it runs as, by the workload's own names", initially: "root" },
  ],
  examples: [
    { command: "bulkhead debug web", says: "a shell, with a terminal where this is one" },
    { command: "bulkhead debug web netstat -lnt", says: "one command: where it listens" },
    { command: "bulkhead debug web ls -l /proc/1/root/etc", says: "the workload's own files" },
    { command: "bulkhead debug --image debian:12 web bash", says: "with other tools" },
  ],
  least: 1,
  stopsAtArgument: true,
  completes: "running",
  run: async (invocation) => {
    try {
      return await debug(invocation);
    } catch (thrown) {
      reportFailure(thrown, "debug");
      return exitCodeOf(thrown, 125);
    }
  },
};

async function debug({ flags, args, client }: Invocation): Promise<number> {
  const [reference = "", ...words] = args;
  const terminal = isTerminal(0) && isTerminal(1);
  const image = flags.text("image") ?? TOOLS;
  const user = flags.text("user");
  const request = {
    Image: image,
    Cmd: words,
    Env: parseVariables(flags.list("env"), process.env),
    Tty: terminal,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    ...(user === undefined ? {} : { User: user }),
  };
  const wanted = { image, when: flags.text("pull") ?? "missing", quiet: false };
  const id = await withImage(client, wanted, () => client.execs.debug(reference, request));
  const attached = await client.execs.start(id, { terminal, terminalSize: terminal ? findScreenSize() : undefined });
  const session = beginSession({
    attached,
    terminal,
    stdin: true,
    detachKeys: "",
    resize: (size) => client.execs.resizeTerminal(id, size),
    signal: async (name) => void (await client.execs.signal(id, name)),
  });
  await session.done;
  return client.execs.exitCode(id);
}
