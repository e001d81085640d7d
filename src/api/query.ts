/** The query of a request, read as Docker reads it. */

import { Failure, quote } from "../contract/failure.ts";

export class Query {
  readonly #values: URLSearchParams;

  /** Rejects INVALID_SPEC for a zero byte: nothing that is named in a query may hold one. */
  constructor(text: string) {
    if (text.includes("%00")) throw new Failure("INVALID_SPEC", "the query holds a zero byte", { remedy: "Take %00 out." });
    this.#values = new URLSearchParams(text);
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === null || value === "" ? undefined : value;
  }

  all(name: string): readonly string[] {
    return this.#values.getAll(name);
  }

  /** As Docker does: absent, empty, `0`, `no`, `false` and `none` are false, anything else is true. */
  flag(name: string, whenAbsent = false): boolean {
    const value = this.#values.get(name);
    if (value === null) return whenAbsent;
    return !["", "0", "no", "false", "none"].includes(value.trim().toLowerCase());
  }

  /** Rejects INVALID_SPEC where something else than a whole number is given. */
  integer(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (!/^-?\d{1,15}$/.test(value)) throw new Failure("INVALID_SPEC", `invalid value ${quote(value)} for ${name}: a whole number is wanted`);
    return Number(value);
  }

  /** Nanoseconds since the epoch, from `1700000000.123456789` or RFC 3339. */
  instant(name: string): bigint | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : parseInstant(value, name);
  }
}

export function parseInstant(value: string, name: string): bigint {
  const unix = /^(-?\d{1,12})(?:\.(\d{1,9})\d*)?$/.exec(value);
  if (unix) return BigInt(unix[1] as string) * 1_000_000_000n + BigInt((unix[2] ?? "").padEnd(9, "0"));
  const stamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(value);
  const milliseconds = stamp ? Date.parse(`${stamp[1]}${stamp[3]}`) : Number.NaN;
  if (!stamp || Number.isNaN(milliseconds)) throw new Failure("INVALID_SPEC", `invalid value ${quote(value)} for ${name}: seconds since the epoch are wanted`);
  return BigInt(milliseconds) * 1_000_000n + BigInt((stamp[2] ?? "").padEnd(9, "0"));
}
