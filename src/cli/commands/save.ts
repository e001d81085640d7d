import { createWriteStream, openSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { UsageError, type Command } from "../command.ts";
import { unusableFile } from "../given-file.ts";
import { isTerminal, writeAll } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  description: "Write images into one archive, as `docker save` does; `bulkhead load` reads it.",
  options: [{ name: "output", short: "o", kind: "text", value: "file", help: "File; stdout where left out", completes: "files" }],
  examples: [{ command: "bulkhead save -o saved.tar busybox", says: "to a file" }],
  least: 1,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const path = flags.text("output");
    if (path === undefined && isTerminal(1)) throw new UsageError("an archive does not belong on a terminal", "name a file with -o, or redirect the output");
    const archive = await client.images.save(args);
    if (path === undefined) {
      for await (const bytes of archive) writeAll(1, bytes);
      return 0;
    }
    const temporary = `${path}.part-${process.pid}`;
    try {
      await pipeline(archive, createWriteStream(temporary, { fd: openForWriting(temporary, path) }));
      await rename(temporary, path);
    } catch (thrown) {
      await rm(temporary, { force: true });
      throw thrown;
    }
    return 0;
  },
};

function openForWriting(temporary: string, path: string): number {
  try {
    return openSync(temporary, "w");
  } catch (thrown) {
    throw unusableFile("write", path, thrown);
  }
}
