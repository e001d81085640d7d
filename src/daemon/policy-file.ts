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
  #read: Promise<Policy> = Promise.resolve(OPEN_POLICY);

  constructor(path: string | undefined, log: Log) {
    this.path = path ?? DEFAULT_POLICY_FILE;
    this.#required = path !== undefined;
    this.#log = log;
  }

  /** A look at the file's times costs microseconds, so every request sees the policy of its moment. Rejects DENIED_BY_POLICY where there is none to go by. */
  async current(): Promise<Policy> {
    const stamp = stampOf(this.path);
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      this.#read = this.#take(stamp);
      this.#read.catch(() => undefined); // told to each who asks
    }
    try {
      return await this.#read;
    } catch (thrown) {
      const fault = toFailure(thrown);
      throw new Failure("DENIED_BY_POLICY", `nothing new is allowed: ${fault.message}`, {
        remedy: `mend ${this.path}; it is read again by itself. \`bulkhead policy test ${this.path}\` says whether it is right`,
        cause: fault,
      });
    }
  }

  async #take(stamp: string): Promise<Policy> {
    if (stamp === ABSENT && !this.#required) return OPEN_POLICY;
    try {
      const policy = await parsePolicy(readFileSync(this.path, "utf8"), this.path);
      this.#log.info({ file: this.path, rules: policy.rules?.length ?? 0 }, "the policy was read");
      return policy;
    } catch (thrown) {
      this.#log.error({ err: toFailure(thrown), file: this.path }, "the policy cannot be read: nothing new is allowed");
      throw thrown;
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
