/**
 * What each boundary costs: as this host measured it, and where it did not, as the textbooks say. An emulated machine's figures
 * hold for the emulated machine only.
 */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Candidate } from "./abilities.ts";
import type { Host } from "./host.ts";

export type Metric = "startup" | "memory" | "cpu" | "syscall";

/** A series of `bulkhead compare --json`, as far as the advisor reads it. */
export interface MeasuredSeries {
  readonly metric: string;
  readonly subject: string;
  readonly unit: string;
  readonly summary: { readonly n: number; readonly p50: number | null };
  readonly command: string;
}

/** A document of `bulkhead compare --json`, as far as the advisor reads it. */
export interface Measurements {
  readonly measuredAt: string;
  readonly subjects: readonly { readonly id: string; readonly boundary?: string; readonly emulated: boolean }[];
  readonly series: readonly MeasuredSeries[];
}

export interface Figure {
  readonly metric: string;
  readonly boundary: BoundaryKind;
  /** Milliseconds, bytes, or percent over the plain host. */
  readonly value: number;
  readonly unit: "ms" | "bytes" | "%";
  /** RFC 3339; absent for a textbook's figure. */
  readonly measuredAt?: string;
  /** What repeats it; for a textbook's figure, where it stands. */
  readonly command: string;
}

interface Book {
  readonly value: number;
  readonly from: string;
}

const book = (value: number, from: string): Book => ({ value, from });

/** Middle of what the textbooks (claims.json) and the projects themselves say. Startup in ms, memory in bytes, cpu and syscall in percent. */
const BOOKS: Readonly<Record<Metric, Readonly<Record<BoundaryKind, Book>>>> = {
  startup: {
    wasm: book(1, "E-wasm-startup"),
    container: book(100, "E-container-startup"),
    gvisor: book(150, "gVisor's own performance guide"),
    microvm: book(125, "C-microvm-startup"),
    vm: book(45_000, "A-vm-startup"),
  },
  memory: {
    wasm: book(1e6, "E-wasm-memory"),
    container: book(9e6, "C-container-memory"),
    gvisor: book(25e6, "gVisor's own performance guide"),
    microvm: book(50e6, "C-microvm-memory, E-kata-memory"),
    vm: book(512e6, "E-vm-memory"),
  },
  cpu: {
    wasm: book(50, "published comparisons of compiled modules"),
    container: book(1, "C-container-cpu"),
    gvisor: book(2, "gVisor's own performance guide"),
    microvm: book(5, "C-vm-cpu"),
    vm: book(10, "C-vm-cpu"),
  },
  syscall: {
    wasm: book(50, "published comparisons of compiled modules"),
    container: book(1, "C-container-cpu"),
    gvisor: book(300, "gVisor's own performance guide"),
    microvm: book(10, "C-vm-syscall"),
    vm: book(10, "C-vm-syscall"),
  },
};

/** What emulation multiplies a machine's figures by where they were not measured: orders of magnitude, not promises. */
const EMULATED: Readonly<Record<Metric, { readonly times: number; readonly plus: number }>> = {
  startup: { times: 5, plus: 0 },
  memory: { times: 1.5, plus: 0 },
  cpu: { times: 1, plus: 400 },
  syscall: { times: 1, plus: 900 },
};

/** Names of compare's metrics, best first, and how they become ours. */
const READ: Readonly<Record<Metric, { readonly names: readonly string[]; readonly unit: Figure["unit"]; readonly scale: Readonly<Record<string, number>> }>> = {
  startup: { names: ["startup_from_template", "startup_to_ready", "run_time"], unit: "ms", scale: { s: 1000, ms: 1 } },
  memory: { names: ["memory_overhead"], unit: "bytes", scale: { bytes: 1 } },
  cpu: { names: ["cpu_overhead"], unit: "%", scale: { "%": 1 } },
  syscall: { names: ["syscall_overhead"], unit: "%", scale: { "%": 1 } },
};

/** Fewer samples, or a cost below nothing, are noise: the textbooks' figure is better. */
const LEAST_SAMPLES = 3;

/** Figures of all boundaries, from one set of measurements. */
export class Figures {
  readonly #measurements: Measurements | undefined;
  readonly #host: Host;

  constructor(measurements: Measurements | undefined, host: Host) {
    this.#measurements = measurements;
    this.#host = host;
  }

  get measuredAt(): string | undefined {
    return this.#measurements?.measuredAt;
  }

  /** As measured on this host for just this kind of boundary (emulated or not), else as the textbooks have it. */
  of(metric: Metric, candidate: Candidate): Figure {
    return this.#measured(metric, candidate) ?? fromBook(metric, candidate);
  }

  #measured(metric: Metric, candidate: Candidate): Figure | undefined {
    const { boundary } = candidate;
    if (this.#measurements === undefined || this.#host.unmeasured.includes(boundary)) return undefined;
    const { subjects, series, measuredAt } = this.#measurements;
    const subject = subjects.find((one) => one.boundary === boundary && one.emulated === candidate.emulated);
    if (subject === undefined) return undefined;
    const { names, unit, scale } = READ[metric];
    for (const name of names) {
      const found = series.find((one) => one.metric === name && one.subject === subject.id);
      const factor = found === undefined ? undefined : scale[found.unit];
      const middle = found?.summary.p50;
      if (found === undefined || factor === undefined || typeof middle !== "number" || !(middle >= 0) || found.summary.n < LEAST_SAMPLES) continue;
      return { metric: name, boundary, value: middle * factor, unit, measuredAt, command: found.command };
    }
    return undefined;
  }
}

function fromBook(metric: Metric, candidate: Candidate): Figure {
  const { boundary, emulated } = candidate;
  const { value, from } = BOOKS[metric][boundary];
  const { unit, names } = READ[metric];
  const { times, plus } = EMULATED[metric];
  const text = emulated ? `${from}, and what emulation multiplies it by` : from;
  return {
    metric: names.at(-1) === "run_time" ? "startup_to_ready" : (names[0] as string),
    boundary,
    value: emulated ? value * times + plus : value,
    unit,
    command: text,
  };
}
