/** A word for who sits before a terminal and sees nothing happen. Programs that read standard error never see it. */

import { clean, isTerminal, tell } from "../output.ts";

const PATIENCE_MS = 1000;

/** Tells the line after a second, on a terminal's standard error alone. The function that comes back ends the wait. */
export function sayWhileWaiting(line: string): () => void {
  if (!isTerminal(2)) return () => undefined;
  const timer = setTimeout(() => tell(clean(line)), PATIENCE_MS);
  return () => clearTimeout(timer);
}
