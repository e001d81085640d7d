import { Failure } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { forEach } from "../report.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  description: "Take names from images, and delete what then has none.",
  options: [
    { name: "force", short: "f", kind: "flag", help: "Every name of an id; a missing one is no failure" },
    { name: "no-prune", kind: "flag", help: "Keep images without a name that it stood on" },
  ],
  least: 1,
  completes: "images",
  run: ({ flags, args, client }) =>
    forEach(args, "rmi", async (reference) => {
      try {
        const done = await client.images.remove(reference, { force: flags.on("force"), noPrune: flags.on("no-prune") });
        return done.map((step) => (step.Untagged === undefined ? `Deleted: ${step.Deleted}` : `Untagged: ${step.Untagged}`)).join("\n");
      } catch (thrown) {
        if (flags.on("force") && thrown instanceof Failure && thrown.code === "NOT_FOUND") return undefined;
        throw thrown;
      }
    }),
};
