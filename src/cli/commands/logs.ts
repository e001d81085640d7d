import { UsageError, type Command } from "../command.ts";
import { parseMoment } from "../format/quantity.ts";
import { writeAll } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD",
  description: "Print what a workload has written, stdout to stdout and stderr to stderr.",
  options: [
    { name: "follow", short: "f", kind: "flag", help: "Go on until it ends" },
    { name: "since", kind: "text", value: "time", help: "From then on: a time, or a duration back from now such as 10m" },
    { name: "tail", short: "n", kind: "text", value: "lines", help: "So many lines from the end, or all", initially: "all" },
    { name: "timestamps", short: "t", kind: "flag", help: "The time before each line" },
    { name: "until", kind: "text", value: "time", help: "Up to then" },
  ],
  examples: [{ command: "bulkhead logs -f --tail 10 web", says: "the last ten lines, and what comes" }],
  least: 1,
  most: 1,
  completes: "workloads",
  run: async ({ flags, args, client }) => {
    const reference = args[0] as string;
    const moment = (name: string): string | undefined => (flags.given(name) ? parseMoment(flags.text(name) ?? "", `--${name}`, Date.now()) : undefined);
    const [since, until] = [moment("since"), moment("until")];
    const tail = parseTail(flags.text("tail"));
    const found = await client.workloads.inspect(reference);
    const options = { follow: flags.on("follow"), timestamps: flags.on("timestamps"), tail, since, until, terminal: found.Config.Tty ?? false };
    for await (const { stream, bytes } of client.workloads.logs(found.Id, options)) writeAll(stream === "stdout" ? 1 : 2, bytes);
    return 0;
  },
};

function parseTail(text: string | undefined): number | undefined {
  if (text === undefined || text === "all" || text.startsWith("-")) return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError(`--tail takes a number of lines or all, not ${JSON.stringify(text)}`);
  return Number(text);
}
