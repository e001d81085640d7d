/** Directories that the daemon lives in: where one cannot be made, the operator is told which and why. */

import { chmodSync, mkdirSync, statSync } from "node:fs";
import { Failure } from "../contract/failure.ts";

const REASONS: Readonly<Record<string, string>> = {
  EROFS: "its filesystem is mounted read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota there is used up",
  EACCES: "you may not write there",
  EPERM: "you may not write there",
  ENOTDIR: "a file stands in its way",
  ENOENT: "nothing can be made there",
};

/** Part by part: asked for all at once, Node tries for ever where a filesystem answers like /proc. Rejects UNAVAILABLE. */
export function makeOwnDirectory(path: string, mode: number): void {
  const parts = path.split("/").filter((part) => part !== "");
  for (let count = 1; count <= parts.length; count++) {
    const directory = `/${parts.slice(0, count).join("/")}`;
    try {
      mkdirSync(directory, { mode: 0o711 });
      if (count === parts.length) chmodSync(directory, mode);
    } catch (thrown) {
      const { code = "", message } = thrown as NodeJS.ErrnoException;
      if (code !== "EEXIST") throw refused(path, REASONS[code] ?? message, thrown);
      if (!statSync(directory).isDirectory()) throw refused(path, `${directory} is a file`, thrown);
    }
  }
}

function refused(path: string, why: string, cause: unknown): Failure {
  return new Failure("UNAVAILABLE", `the directory ${path} cannot be made: ${why}`, {
    remedy: "name a place on a filesystem that can be written: --root, or `root` and `run` in the configuration",
    cause,
  });
}
