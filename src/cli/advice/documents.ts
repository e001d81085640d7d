/** Documents that people write: JSON or YAML, from a file or standard input. */

import { Failure } from "../../../sdk/src/index.ts";
import { readGivenText } from "../given-file.ts";

/** JSON is YAML. */
export async function readDocument(path: string): Promise<unknown> {
  const { parse } = await import("./yaml.ts");
  const text = readGivenText(path);
  try {
    return (parse(text, { maxAliasCount: 50 }) as unknown) ?? {};
  } catch (cause) {
    throw new Failure("INVALID_SPEC", `${path} is neither JSON nor YAML: ${(cause as Error).message}`, {
      remedy: "mend the file where the sentence says",
      cause,
    });
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
