/** Documents that people write: JSON or YAML, from a file or standard input. */

import { readFileSync } from "node:fs";
import { Failure } from "../../../sdk/src/index.ts";

/** JSON is YAML. */
export async function readDocument(path: string): Promise<unknown> {
  const { parse } = await import("./yaml.ts");
  const text = readFileSync(path === "-" ? 0 : path, "utf8");
  try {
    return (parse(text, { maxAliasCount: 50 }) as unknown) ?? {};
  } catch (cause) {
    throw new Failure("INVALID_SPEC", `${path} is neither JSON nor YAML: ${(cause as Error).message}`, { cause });
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
