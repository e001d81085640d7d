/** Commands that a document shows: behind `$ ` in a fenced block, or indented by four. */

/** In the order shown, of those that begin with one of these words. */
export function readShownCommands(text: string, programs: readonly string[]): string[] {
  const shown = new RegExp(`^(?:\\$| {4}) ?((?:${programs.map((name) => name.replaceAll("/", "\\/")).join("|")}) .*)$`, "gm");
  return [...text.matchAll(shown)].map(([, command]) => command ?? "");
}
