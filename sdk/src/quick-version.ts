/** The daemon's version without the weight of an HTTP client: loading one takes longer than asking. */

import { connect } from "node:net";
import type { VersionDocument } from "./documents.ts";

/** Undefined for whatever is not a plain, good answer: ask again with a `Client`, which tells what is wrong. */
export function findQuickVersion(socketPath: string): Promise<VersionDocument | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(socketPath, () => socket.write("GET /version HTTP/1.0\r\nHost: bulkhead\r\n\r\n"));
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      const answer = parseAnswer(text);
      if (answer === undefined) return;
      resolve(answer);
      socket.destroy();
    });
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(undefined));
  });
}

/** Undefined until it is whole. */
function parseAnswer(text: string): VersionDocument | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0 || !/^HTTP\/1\.[01] 200 /.test(text)) return undefined;
  try {
    return JSON.parse(text.slice(end + 4)) as VersionDocument;
  } catch {
    return undefined;
  }
}
