/** Bind mounts: a path of the host that the caller names. Whether the caller may name it is the policy's question, not asked here. */

import { mkdir, stat } from "node:fs/promises";
import { isAbsolute, normalize } from "node:path";
import { Failure, quote } from "../contract/failure.ts";
import type { MountSpec } from "../contract/spec.ts";

interface BindOptions {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly createSource: boolean;
}

export async function bindSource({ source, target, readOnly, createSource }: BindOptions): Promise<Extract<MountSpec, { kind: "bind" }>> {
  if (!isAbsolute(source) || source.includes("\0"))
    throw new Failure("INVALID_SPEC", `the source of a bind mount must be an absolute path: ${quote(source)}`, { remedy: "write it from / on" });
  if (!isAbsolute(target) || target.includes("\0") || normalize(target) === "/")
    throw new Failure("INVALID_SPEC", `the target of a mount must be an absolute path below /: ${quote(target)}`);
  const path = normalize(source).replace(/(.)\/$/, "$1");
  if (!(await exists(path))) {
    if (!createSource)
      throw new Failure("INVALID_SPEC", `the source of a bind mount does not exist: ${quote(source)}`, { remedy: "make it first, or use -v, which makes it" });
    await mkdir(path, { recursive: true }).catch((cause: unknown) => {
      throw new Failure("INVALID_SPEC", `the source of a bind mount cannot be made: ${quote(source)}`, { cause });
    });
  }
  return { kind: "bind", source: path, target: normalize(target).replace(/(.)\/$/, "$1"), readOnly };
}

/** Of any kind: sockets, devices and pipes are bound as files are. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return false;
    throw new Failure("INVALID_SPEC", `the source of a bind mount cannot be looked at: ${quote(path)} (${code ?? "unknown"})`, { cause: thrown });
  }
}
