/** Names of workloads: the rule they obey, and one made up where none was asked for. */

import { randomInt } from "node:crypto";
import { Failure, quote } from "../contract/failure.ts";
import { ADJECTIVES, SURNAMES } from "./name-words.ts";

const RULE = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** A caller's name as it is kept: without Docker's leading slash. Rejects INVALID_SPEC. */
export function checkName(asked: string): string {
  const name = asked.startsWith("/") ? asked.slice(1) : asked;
  if (RULE.test(name) && name.length <= 255) return name;
  throw new Failure("INVALID_SPEC", `Invalid container name (${quote(asked)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`, {
    remedy: "Use two characters or more: letters, digits, underscore, full stop, hyphen; the first one a letter or a digit.",
  });
}

/** `adjective_surname`, free at this moment. */
export function makeName(isTaken: (name: string) => boolean): string {
  const pick = (words: readonly string[]) => words[randomInt(words.length)] ?? "plain";
  for (let attempt = 0; attempt < 20; attempt++) {
    const name = `${pick(ADJECTIVES)}_${pick(SURNAMES)}`;
    if (!isTaken(name)) return name;
  }
  for (;;) {
    const name = `${pick(ADJECTIVES)}_${pick(SURNAMES)}${randomInt(1_000_000)}`;
    if (!isTaken(name)) return name;
  }
}
