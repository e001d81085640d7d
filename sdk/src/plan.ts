/** Planning: how many hosts so many workloads need, behind which boundary, and who falls with whom. Bytes, processors, months. */

import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface PlannedHost {
  readonly name?: string;
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly diskBytes?: number;
  readonly pricePerMonth?: number;
  readonly reservedMemoryBytes?: number;
}

export interface PlanQuestion {
  readonly workloads: readonly {
    readonly name: string;
    readonly count: number;
    /** Of docs/schema/requirements.json; `size` is what one instance uses. */
    readonly requirements?: unknown;
    /** A boundary's name; absent or `auto` leaves it to the plan. */
    readonly isolation?: string;
  }[];
  /** What is absent is as on the daemon's own host. */
  readonly host?: PlannedHost;
  /** Instead of `host`: several with a name and a price each, of which the cheapest or the cheapest mix is chosen. */
  readonly hostTypes?: readonly PlannedHost[];
  readonly assume?: readonly string[];
  readonly measurements?: unknown;
}

export interface Amounts {
  readonly memory: number;
  readonly cpu: number;
  readonly disk: number;
}

export interface Fleet {
  readonly hosts: number;
  /** No plan has fewer. */
  readonly hostsAtLeast: number;
  readonly costPerMonth: number | null;
  readonly runsOutFirst: "memory" | "cpu" | "disk";
  readonly headroomPercent: Amounts;
  /** Most instances that stop with one kernel, and with one host. */
  readonly blastRadius: { readonly kernel: number; readonly host: number };
}

export interface PlannedAssignment {
  readonly workload: string;
  readonly count: number;
  readonly boundary: string;
  readonly needs: Amounts;
  readonly perHost: number;
}

export interface PlanDocument {
  readonly schemaVersion: number;
  readonly hostType: Required<Omit<PlannedHost, "pricePerMonth">> & { readonly pricePerMonth?: number };
  readonly boundaries: readonly {
    readonly boundary: string;
    readonly fleet: Fleet | null;
    readonly against: readonly { readonly workload: string; readonly because: string }[];
    readonly perInstance: { readonly memoryBytes: number; readonly cpuPercent: number; readonly measuredAt: string | null; readonly from: string };
  }[];
  readonly mixed: {
    readonly fleet: Fleet;
    readonly assignments: readonly PlannedAssignment[];
  } | null;
  readonly unplaced: readonly { readonly workload: string; readonly because: string }[];
  readonly assumptions: readonly string[];
  readonly method: string;
  /** Where several types were given; the rest of the plan is then for the cheapest that carries all by itself. */
  readonly hostTypes?: {
    readonly each: readonly { readonly hostType: string; readonly fleet: Fleet | null }[];
    readonly cheapest: {
      readonly costPerMonth: number;
      /** No mix of these types costs less. */
      readonly costAtLeast: number;
      readonly hosts: readonly { readonly hostType: string; readonly count: number; readonly costPerMonth: number }[];
      readonly assignments: readonly (PlannedAssignment & { readonly hostType: string })[];
    } | null;
    readonly method: string;
  };
}

export class Planner {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  plan(question: PlanQuestion, { signal }: Cancellable = {}): Promise<PlanDocument> {
    return this.transport.json({ method: "POST", path: "/bulkhead/v1/plan", body: question, signal });
  }
}
