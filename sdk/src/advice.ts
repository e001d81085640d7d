/** Advice: which boundary a workload needs, and why. Field by field as docs/docker-api.md and docs/schema/requirements.json have it. */

import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface AdviceDocument {
  readonly schemaVersion: number;
  /** Null where nothing on the host can meet the requirements. */
  readonly recommendation: { readonly boundary: string; readonly engine: string; readonly nesting: readonly string[] } | null;
  readonly reason: string;
  readonly runnerUp: { readonly boundary: string; readonly wouldWinIf: string } | null;
  readonly ruledOut: readonly { readonly boundary: string; readonly rule: string; readonly because: string; readonly source: string }[];
  readonly ranking: readonly {
    readonly boundary: string;
    readonly score: number;
    readonly terms: readonly { readonly id: string; readonly weight: string; readonly points: number; readonly because: string }[];
  }[];
  readonly mitigations: readonly { readonly id: string; readonly text: string }[];
  readonly assumptions: readonly { readonly field: string; readonly value: unknown; readonly text: string }[];
  readonly evidence: readonly {
    readonly metric: string;
    readonly boundary: string;
    readonly value: number;
    readonly unit: string;
    /** RFC 3339; null for a textbook's figure. */
    readonly measuredAt: string | null;
    readonly command: string;
  }[];
  readonly weights: Readonly<Record<string, number>>;
  readonly confidence: "low" | "medium" | "high";
  /** From the hardware to the application; where the question wants it explained. */
  readonly layers?: readonly { readonly layer: string; readonly here: string; readonly shared: string }[];
  /** What was asked for in the end, with what the image said. */
  readonly requirements: Readonly<Record<string, unknown>>;
}

export interface AdviceQuestion {
  /** Of docs/schema/requirements.json. */
  readonly requirements?: unknown;
  /** An image that the daemon has. */
  readonly image?: string | undefined;
  /** `kvm=yes`: answer for another host than this one. */
  readonly assume?: readonly string[];
  /** A document of `bulkhead compare --json` instead of what was last measured; null for textbook figures alone. */
  readonly measurements?: unknown;
  /** With the layers, from the hardware to the application. */
  readonly explain?: boolean;
}

/** A create body, an inspect answer, or a compose file as an object: advice for each workload in it. */
export interface AdviceDocumentQuestion extends Omit<AdviceQuestion, "image"> {
  readonly document: { readonly kind: "create" | "inspect" | "compose"; readonly name: string; readonly content: unknown };
}

export interface WorkloadAdvice extends AdviceDocument {
  readonly name: string;
}

/** A document of `bulkhead compare --json` without its samples. */
export interface MeasurementsDocument {
  readonly measuredAt: string;
  readonly series: readonly { readonly metric: string; readonly summary: { readonly n: number } }[];
}

export class Advisor {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  advise(question: AdviceQuestion, options: Cancellable = {}): Promise<AdviceDocument> {
    return this.transport.json({ method: "POST", path: "/bulkhead/v1/advise", body: question, signal: options.signal });
  }

  async adviseDocument(question: AdviceDocumentQuestion, options: Cancellable = {}): Promise<readonly WorkloadAdvice[]> {
    const asked = { method: "POST", path: "/bulkhead/v1/advise/document", body: question, signal: options.signal } as const;
    const { workloads } = await this.transport.json<{ readonly workloads: readonly WorkloadAdvice[] }>(asked);
    return workloads;
  }

  /** Those that were kept last. Rejects NOT_FOUND where there are none. */
  lastMeasurements(options: Cancellable = {}): Promise<MeasurementsDocument> {
    return this.transport.json({ method: "GET", path: "/bulkhead/v1/measurements", signal: options.signal });
  }

  /** Keeps a document of `bulkhead compare --json` for later advice. */
  async keepMeasurements(document: object, options: Cancellable = {}): Promise<void> {
    await this.transport.json({ method: "PUT", path: "/bulkhead/v1/measurements", body: document, signal: options.signal });
  }
}
