/** Auditing: what is wrong with a workload, what an attacker gains by it, and the exact fix. */

import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface AuditDocument {
  /** A create body, an inspect answer, a compose file as an object, or a Dockerfile's text. */
  readonly kind: "create" | "inspect" | "compose" | "dockerfile";
  readonly name: string;
  readonly content: unknown;
}

export interface AuditFinding {
  /** Stable: `BH004`. */
  readonly id: string;
  readonly title: string;
  readonly severity: "info" | "low" | "medium" | "high" | "critical";
  /** What it would be behind a container. */
  readonly baseSeverity: string;
  readonly subject: string;
  readonly where: string;
  readonly line?: number;
  readonly what: string;
  readonly gains: string;
  readonly attack: string;
  readonly fix: string;
  readonly mayBreak: boolean;
  readonly losesForceOn: readonly { readonly boundary: string; readonly because: string }[];
  /** Why it keeps its force behind this workload's boundary, which is one of those. */
  readonly keepsForce?: string;
  readonly sources: readonly string[];
  /** Of the escape suite; empty where it is argued. */
  readonly tests: readonly string[];
  readonly accepted?: string;
}

export interface AuditOptions extends Cancellable {
  /** Findings that are accepted by their id, each with a reason. */
  readonly accepted?: Readonly<Record<string, string>>;
}

export interface MendedDocument {
  readonly content: Readonly<Record<string, unknown>>;
  readonly mended: readonly AuditFinding[];
  readonly left: readonly AuditFinding[];
}

export class Auditor {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Worst first for each document. Rejects INVALID_SPEC for a document that is not of its kind. */
  async audit(documents: readonly AuditDocument[], { accepted = {}, signal }: AuditOptions = {}): Promise<readonly AuditFinding[]> {
    const body = { documents, accepted };
    const { findings } = await this.transport.json<{ findings: readonly AuditFinding[] }>({ method: "POST", path: "/bulkhead/v1/audit", body, signal });
    return findings;
  }

  /** The document with what can be mended mended; `strict` also where a program that works today may stop to. */
  mend(document: AuditDocument, { accepted = {}, strict = false, signal }: AuditOptions & { readonly strict?: boolean } = {}): Promise<MendedDocument> {
    return this.transport.json({ method: "POST", path: "/bulkhead/v1/audit/mend", body: { document, strict, accepted }, signal });
  }
}
