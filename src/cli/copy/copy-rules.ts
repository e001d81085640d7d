/**
 * What `docker cp` makes of its two arguments: which side is the workload, and under which name things land. Pure: whoever asks has looked at
 * both sides.
 */

import { basename, dirname, isAbsolute, normalize } from "node:path";
import { UsageError } from "../command.ts";

export interface CopyArgument {
  /** Absent: a path here, or `-`. */
  readonly workload?: string;
  readonly path: string;
}

/** `WORKLOAD:PATH`, or a path here: a name with a colon in it begins with `/` or `.`. */
export function readArgument(argument: string): CopyArgument {
  const colon = argument.indexOf(":");
  if (isAbsolute(argument) || colon < 0 || argument.startsWith(".")) return { path: argument };
  return colon === 0 ? { path: argument } : { workload: argument.slice(0, colon), path: argument.slice(colon + 1) };
}

/** `dir/.`: what lies in it, and not it. */
export const meansInside = (path: string): boolean => path === "." || path.endsWith("/.");

/** `dir/` or `dir/.`: it shall be a directory. */
export const meansDirectory = (path: string): boolean => path.endsWith("/") || meansInside(path);

/** The directory above and the last part, which is `.` for what lies in a directory. */
export function splitEntry(path: string): { readonly directory: string; readonly base: string } {
  if (meansInside(path)) return { directory: clean(path), base: "." };
  return { directory: dirname(clean(path)), base: basename(clean(path)) || "/" };
}

/** The first part of the names in an archive of a path inside, which is taken from the root. */
export function findBase(path: string): string {
  return splitEntry(`/${path}`).base;
}

const clean = (path: string): string => normalize(path).replace(/(.)\/+$/, "$1");

export interface Source {
  readonly isDirectory: boolean;
  /** The first part of every name that comes: `.` for a directory's inside, `/` for the root. */
  readonly base: string;
}

export interface Destination {
  /** With links followed. */
  readonly path: string;
  readonly kind: "absent" | "directory" | "file";
}

/** Where it lands: below `directory` as `name`; without one what lies in the source goes into the directory itself. */
export interface Landing {
  readonly directory: string;
  readonly name: string | undefined;
}

/** Rejects in Docker's words what cannot land there. */
export function findLanding(source: Source, destination: Destination): Landing {
  const { path, kind } = destination;
  if (kind === "directory") return { directory: path, name: source.base === "." || source.base === "/" ? undefined : source.base };
  if (kind === "file" && source.isDirectory)
    throw new UsageError("cannot copy directory", `${JSON.stringify(path)} is a file: name a directory, or a path where nothing is`);
  if (kind === "absent" && !source.isDirectory && meansDirectory(path))
    throw new UsageError("no such directory", `${JSON.stringify(path)} is not there: make it first, or leave the slash out to name the file`);
  const { directory, base } = splitEntry(path);
  return { directory, name: base };
}
