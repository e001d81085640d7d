/** Sizes as Docker's options write them. */

import { Failure, quote } from "../../contract/failure.ts";

/** `10m`, `1.5g`, `4096`, as Docker's options write sizes; units of 1024 but where Docker counts in thousands. */
export function readSize(value: string, option: string, unit = 1024): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]?)i?b?$/i.exec(value.trim());
  if (!match) throw new Failure("INVALID_SPEC", `invalid size ${quote(value)} for ${option}`);
  const power = ["", "k", "m", "g", "t"].indexOf((match[2] as string).toLowerCase());
  const bytes = Math.floor(Number(match[1]) * unit ** power);
  if (!Number.isSafeInteger(bytes)) throw new Failure("INVALID_SPEC", `invalid size ${quote(value)} for ${option}: no host has so much`);
  return bytes;
}
