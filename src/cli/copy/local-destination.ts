/** Where things that come out of a workload go here. */

import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { UsageError } from "../command.ts";
import { meansDirectory, type Destination } from "./copy-rules.ts";

const MOST_LINKS = 10;

/** A link is followed, also one that leads to nothing yet. Rejects where the directory above is not there. */
export async function findLocalDestination(asked: string): Promise<Destination> {
  let path = resolve(asked);
  for (let links = 0; links <= MOST_LINKS; links++) {
    const status = await lstat(path).catch(acceptMissing);
    if (status === undefined) {
      const above = await stat(dirname(path)).catch(acceptMissing);
      if (above?.isDirectory() !== true)
        throw new UsageError(`invalid output path: directory ${JSON.stringify(dirname(path))} does not exist`, "make it first, or name another");
      return { path: meansDirectory(asked) ? `${path}/` : path, kind: "absent" };
    }
    if (status.isDirectory()) return { path, kind: "directory" };
    if (status.isFile() && meansDirectory(asked))
      throw new UsageError(`${JSON.stringify(asked)} is not a directory`, "leave the slash out to replace the file");
    if (status.isFile()) return { path, kind: "file" };
    if (!status.isSymbolicLink())
      throw new UsageError(
        `invalid output path: ${JSON.stringify(path)} must be a directory or a regular file`,
        "a device, a FIFO or a socket takes no copies",
      );
    path = resolve(dirname(path), await readlink(path));
  }
  throw new UsageError(`too many symlinks in ${JSON.stringify(asked)}`, "some of them lead to themselves");
}

function acceptMissing(thrown: unknown): undefined {
  if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
}
