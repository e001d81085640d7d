/**
 * The policy in force: read from its file, and read again when the file changes. Whole or not at all; while it cannot be read as a policy,
 * nothing new is allowed.
 */

import { readFileSync, statSync } from "node:fs";
import { type Log } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import { OPEN_POLICY, parsePolicy, type Policy } from "../policy/index.ts";

export const DEFAULT_POLICY_FILE = "/etc/bulkhead/policy.yaml";

export class PolicyFile {
  readonly path: string;
  /** Whether its absence is a fault: the operator named it. */
  readonly #required: boolean;
  readonly #log: Log;
  #stamp = "never read";
  #policy: Policy = OPEN_POLICY;
  #fault: Failure | undefined;

  constructor(path: string | undefined, log: Log) {
    this.path = path ?? DEFAULT_POLICY_FILE;
    this.#required = path !== undefined;
    this.#log = log;
  }

  /** A look at the file's times costs microseconds, so every request sees the policy of its moment. Throws DENIED_BY_POLICY where there is none to go by. */
  current(): Policy {
    const stamp = stampOf(this.path);
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      this.#read(stamp);
    }
    if (this.#fault !== undefined) {
      throw new Failure("DENIED_BY_POLICY", `nothing new is allowed: ${this.#fault.message}`, {
        remedy: `mend ${this.path}; it is read again by itself. \`bulkhead policy test ${this.path}\` says whether it is right`,
        cause: this.#fault,
      });
    }
    return this.#policy;
  }

  #read(stamp: string): void {
    this.#fault = undefined;
    try {
      if (stamp === ABSENT && !this.#required) this.#policy = OPEN_POLICY;
      else this.#policy = parsePolicy(readFileSync(this.path, "utf8"), this.path);
      this.#log.info(
        { file: this.path, rules: this.#policy.rules?.length ?? 0 },
        stamp === ABSENT ? "no policy: everything is allowed" : "the policy was read",
      );
    } catch (thrown) {
      this.#fault = toFailure(thrown);
      this.#log.error({ err: this.#fault, file: this.path }, "the policy cannot be read: nothing new is allowed");
    }
  }
}

const ABSENT = "absent";

function stampOf(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "ENOENT" ? ABSENT : `unreadable: ${String(thrown)}`;
  }
}
