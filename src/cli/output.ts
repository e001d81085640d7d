/** Writing to the terminal or whatever stands in its place. In order, whole, and done when the call returns. */

import { writeSync } from "node:fs";
import { isatty } from "node:tty";

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes all of it. A reader that went away ends the program as SIGPIPE would, without a word. */
export function writeAll(descriptor: 1 | 2, bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(descriptor, bytes, offset, bytes.length - offset);
    } catch (thrown) {
      const code = (thrown as NodeJS.ErrnoException).code;
      if (code === "EAGAIN") Atomics.wait(pause, 0, 0, 2);
      else if (code === "EPIPE") process.exit(141);
      else throw thrown;
    }
  }
}

export function print(text: string): void {
  writeAll(1, Buffer.from(text));
}

export function printLine(text: string): void {
  print(`${text}\n`);
}

/** To stderr. */
export function tell(text: string): void {
  writeAll(2, Buffer.from(`${text}\n`));
}

export function isTerminal(descriptor: 0 | 1 | 2): boolean {
  return isatty(descriptor);
}

/** Whether colours and cursor movements make sense there; https://no-color.org is obeyed. */
export function isColourful(descriptor: 1 | 2): boolean {
  return (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb" && isTerminal(descriptor);
}

const COLOURS = { red: 31, green: 32, yellow: 33, blue: 34, grey: 90, bold: 1 } as const;

export function colour(text: string, name: keyof typeof COLOURS, descriptor: 1 | 2 = 1): string {
  return isColourful(descriptor) ? `\u001b[${COLOURS[name]}m${text}\u001b[0m` : text;
}

/** Control characters from outside made visible, so that a name cannot move the cursor. Newlines and tabs are escaped as well. */
export function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
