/** Where this program lies, so that a remedy names a command that works as typed: in a checkout, and where scripts/install.sh put the program. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The directory that holds `bin/`, `dist/` and `scripts/`: above the bundle in `dist/`, as above a source file. */
export function findHome(from: string): string {
  for (let directory = from; ; directory = dirname(directory)) {
    if (existsSync(join(directory, "package.json")) && existsSync(join(directory, "bin/bulkhead"))) return directory;
    if (directory === dirname(directory)) return ".";
  }
}

export const HOME = findHome(import.meta.dirname);

/** `sh …`, for a script that is in both places. */
export function scriptCommand(script: string, home = HOME): string {
  return `sh ${quote(join(home, "scripts", script))}`;
}

/** One of the native programs. */
export function nativeCommand(words: string, home = HOME): string {
  const [program = "", ...rest] = words.split(" ");
  return [quote(join(home, "dist/native", program)), ...rest].join(" ");
}

/** What only a checkout can do, and, where this is an installed copy, the step that brings it here. */
export function checkoutCommand(script: string, home = HOME): string {
  if (existsSync(join(home, "scripts", script))) return scriptCommand(script, home);
  return `In the checkout that this was installed from: sh scripts/${script} && sh scripts/install.sh`;
}

function quote(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
