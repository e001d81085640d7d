/** Keys that let go of a terminal: `ctrl-p,ctrl-q`. */

import { UsageError } from "../command.ts";

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** Byte values in order. Empty text is no keys at all. */
export function parseDetachKeys(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
    if (key.length === 1) return key.charCodeAt(0);
    throw new UsageError(
      `there is no key ${JSON.stringify(key)}`,
      "write single letters or ctrl-LETTER, with commas between, as in --detach-keys ctrl-p,ctrl-q",
    );
  });
}

/**
 * Watches input go by. The beginning of the keys is held back until it is clear whether the rest follows; what was
 * held back for nothing goes on unchanged.
 */
export class DetachWatch {
  private readonly keys: readonly number[];
  private matched = 0;

  constructor(keys: readonly number[]) {
    this.keys = keys;
  }

  pass(input: Uint8Array): { readonly forward: Uint8Array; readonly detached: boolean } {
    if (this.keys.length === 0) return { forward: input, detached: false };
    const forward: number[] = [];
    for (const byte of input) {
      if (byte === this.keys[this.matched]) {
        this.matched++;
        if (this.matched === this.keys.length) return { forward: Uint8Array.from(forward), detached: true };
        continue;
      }
      forward.push(...this.keys.slice(0, this.matched));
      this.matched = 0;
      if (byte === this.keys[0]) this.matched = 1;
      else forward.push(byte);
    }
    return { forward: Uint8Array.from(forward), detached: false };
  }
}
