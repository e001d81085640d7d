/** The key sequence with which a user leaves a terminal without ending what runs in it: `ctrl-p,ctrl-q` unless chosen otherwise. */

import { Failure, quote } from "../../contract/failure.ts";

const DEFAULT_KEYS = "ctrl-p,ctrl-q";

/** Reads `ctrl-a`…`ctrl-z`, `ctrl-@ [ \ ] ^ _`, or single characters, separated by commas. */
export function parseDetachKeys(text: string | undefined): readonly number[] {
  return (text ?? DEFAULT_KEYS).split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key.toLowerCase());
    if (control) return (control[1] as string).toUpperCase().charCodeAt(0) - 64;
    if (key.length === 1) return key.charCodeAt(0);
    throw new Failure("INVALID_SPEC", `invalid detach keys (${quote(text ?? "")}) provided`);
  });
}

/** Looks for the sequence in what is typed, across chunks. What might be its beginning is held back until it is clear. */
export class DetachWatch {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** `pass` goes to the workload; `detached` says that the sequence is complete. */
  read(chunk: Uint8Array): { readonly pass: Uint8Array; readonly detached: boolean } {
    const pass: number[] = [];
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#matched]) {
        pass.push(...this.#keys.slice(0, this.#matched));
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) {
        pass.push(byte);
        continue;
      }
      this.#matched += 1;
      if (this.#matched === this.#keys.length) return { pass: Uint8Array.from(pass), detached: true };
    }
    // The usual case keeps its buffer.
    return { pass: pass.length === chunk.length ? chunk : Uint8Array.from(pass), detached: false };
  }
}
