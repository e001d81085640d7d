/** JSON documents one after another in a byte stream: pull, load, events, stats. */

import { Failure } from "./failure.ts";

const MAX_LINE_CHARACTERS = 16 * 1024 * 1024;

/** Yields each document as its line is complete; a last line without its newline counts. Rejects CORRUPT_DATA for what is not JSON. */
export async function* readJsonLines<T>(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield parseLine<T>(line);
    if (rest.length > MAX_LINE_CHARACTERS) throw new Failure("CORRUPT_DATA", "the daemon sent a line longer than 16 MiB");
  }
  rest += decoder.decode();
  if (rest.trim() !== "") yield parseLine<T>(rest);
}

function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch (cause) {
    throw new Failure("CORRUPT_DATA", `the daemon sent a line that is not JSON: ${JSON.stringify(line.slice(0, 120))}`, { cause });
  }
}
