import { needsLabel } from "../advice/needs-label.ts";
import type { Command } from "../command.ts";
import { printLine, tell } from "../output.ts";
import { withModuleFile } from "../module-file.ts";
import { withImage } from "../pull.ts";
import { createDocument } from "../specs/create-document.ts";
import { CREATE_OPTIONS } from "../specs/run-options.ts";
import { writeIdFile } from "./run.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  description: "Make a workload without starting it, and print its id.",
  options: CREATE_OPTIONS,
  examples: [{ command: "bulkhead create --name job --isolation microvm busybox sleep 60", says: "to be started later with `bulkhead start job`" }],
  least: 1,
  stopsAtArgument: true,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const interactive = flags.on("interactive");
    const asked = createDocument(flags, args, { stdin: interactive, stdout: true, stderr: true }, await needsLabel(flags));
    const document = await withModuleFile(client, asked);
    const platform = flags.text("platform");
    const wanted = { image: document.Image, when: flags.text("pull") ?? "missing", platform, quiet: flags.on("quiet") };
    const made = await withImage(client, wanted, () => client.workloads.create(document, { name: flags.text("name"), platform }));
    const idFile = flags.text("cidfile");
    if (idFile !== undefined) writeIdFile(idFile, made.Id);
    for (const warning of made.Warnings ?? []) tell(`WARNING: ${warning}`);
    printLine(made.Id);
    return 0;
  },
};
