/** The operator's policy, for who asks before it is met. */

import type { CreateDocument } from "./documents.ts";
import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface PolicyText {
  readonly text: string;
  /** Its name, for messages. */
  readonly file: string;
}

export interface PolicyAnswer {
  readonly allowed: boolean;
  readonly violations: readonly { readonly rule: string; readonly what: string; readonly remedy: string }[];
  readonly boundary: { readonly kind: string; readonly engine: string; readonly emulated: boolean; readonly traits: readonly string[] };
}

export class PolicyClient {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** The policy in force. Rejects DENIED_BY_POLICY where its file is none. */
  inForce(options: Cancellable = {}): Promise<{ readonly file: string; readonly policy: object }> {
    return this.transport.json({ method: "GET", path: "/bulkhead/v1/policy", signal: options.signal });
  }

  /** Whether a create would be allowed to this process, by the policy in force or by one that is given. Makes nothing. */
  check(question: { readonly create: CreateDocument; readonly policy?: PolicyText }, options: Cancellable = {}): Promise<PolicyAnswer> {
    return this.transport.json({ method: "POST", path: "/bulkhead/v1/policy/check", body: question, signal: options.signal });
  }

  /** Rejects INVALID_SPEC with line and column where the text is no policy. */
  async parse(policy: PolicyText, options: Cancellable = {}): Promise<object> {
    const { policy: parsed } = await this.transport.json<{ policy: object }>({
      method: "POST",
      path: "/bulkhead/v1/policy/parse",
      body: policy,
      signal: options.signal,
    });
    return parsed;
  }
}
