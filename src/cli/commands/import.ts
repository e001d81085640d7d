import { readArchive } from "../archive-input.ts";
import { UsageError, type Command } from "../command.ts";
import { clean, printLine } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
  description: "Make an image of one layer from a root filesystem's archive, or of a disk.",
  options: [
    { name: "change", short: "c", kind: "list", value: "instruction", help: "Dockerfile instruction: 'CMD [\"sh\"]'" },
    { name: "message", short: "m", kind: "text", value: "text", help: "Comment for the history" },
    { name: "disk", kind: "flag", help: "FILE is a disk image (raw or qcow2), for --isolation vm to boot" },
    { name: "platform", kind: "text", value: "os/arch", help: "Platform of its programs" },
  ],
  examples: [
    { command: "bulkhead import rootfs.tar my/base:1", says: "from debootstrap and the like" },
    { command: "bulkhead import --disk debian-12.qcow2 my/debian:12", says: "a whole machine, to be run with --isolation vm" },
  ],
  least: 1,
  most: 2,
  completes: "files",
  run: async ({ flags, args, client }) => {
    const [path, reference] = args;
    if (path !== undefined && /^https?:\/\//.test(path))
      throw new UsageError("import does not fetch addresses", `pipe it in: \`curl -fL ${clean(path)} | bulkhead import - [REPOSITORY[:TAG]]\``);
    const options = { reference, changes: flags.list("change"), message: flags.text("message"), platform: flags.text("platform"), disk: flags.on("disk") };
    for await (const line of client.images.import(readArchive(path, undefined), options)) if (line.status !== undefined) printLine(line.status);
    return 0;
  },
};
