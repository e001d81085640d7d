/** `name=web,count=100`: what stands once, with what may stand there. */

import { UsageError } from "../command.ts";

export function readPairs(text: string, option: string, known: readonly string[]): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const part of text.split(",").filter((one) => one !== "")) {
    const at = part.indexOf("=");
    const key = at === -1 ? part : part.slice(0, at);
    if (at === -1 || !known.includes(key)) throw new UsageError(`${option} does not know ${JSON.stringify(part)}`, `it takes ${known.join("=, ")}=`);
    if (pairs.has(key)) throw new UsageError(`${option} has ${key} twice`);
    pairs.set(key, part.slice(at + 1));
  }
  return pairs;
}

export function readCount(text: string, what: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value) || value <= 0) throw new UsageError(`${what} must be a number above zero, not ${JSON.stringify(text)}`);
  return value;
}
