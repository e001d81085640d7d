/** What a workload needs of its boundary: the published schema's document, checked against the schema itself. */

import { Failure } from "../contract/failure.ts";
import { type JsonSchema, mismatches } from "./json-schema.ts";
import schema from "./requirements.schema.json" with { type: "json" };
import { parseRange } from "./version-range.ts";

export type Level = "low" | "high";

/** Every field is optional: what is absent is unknown, and what was assumed for it is said in the advice. Bytes, milliseconds, percent. */
export interface Requirements {
  readonly name?: string;
  readonly trust?: "own" | "partner" | "untrusted";
  readonly tenancy?: "single" | "multi";
  readonly artifact?: "oci-image" | "disk-image" | "wasm-module";
  readonly guest?: { readonly os?: "linux" | "windows" | "freebsd" | "openbsd" | "other"; readonly architecture?: "amd64" | "arm64" | "riscv64" | "any" };
  readonly kernel?: {
    readonly own?: boolean;
    readonly version?: string;
    readonly modules?: readonly string[];
    readonly sysctls?: readonly string[];
    readonly ebpf?: boolean;
    readonly realtime?: boolean;
  };
  readonly compliance?: "none" | "kernel-separation" | "hypervisor" | "confidential";
  readonly budgets?: {
    readonly startupMs?: number;
    readonly memoryOverheadBytes?: number;
    readonly instancesPerHost?: number;
    readonly cpuOverheadPercent?: number;
  };
  readonly size?: { readonly memoryBytes?: number; readonly cpus?: number; readonly diskBytes?: number };
  readonly state?: "stateless" | "volume" | "pet";
  readonly lifetime?: "milliseconds" | "seconds" | "hours" | "months";
  readonly initSystem?: boolean;
  readonly intensity?: { readonly cpu?: Level; readonly syscalls?: Level; readonly disk?: Level; readonly network?: Level };
  readonly gpu?: "none" | "shared" | "whole";
  readonly nested?: "none" | "docker" | "virtual-machine";
  readonly privileges?: readonly string[];
  readonly weights?: { readonly security?: number; readonly speed?: number; readonly cost?: number };
}

export const REQUIREMENTS_SCHEMA: JsonSchema = schema as JsonSchema;

/** Rejects INVALID_SPEC with every fault's path and what is allowed there. */
export function parseRequirements(document: unknown): Requirements {
  const faults = mismatches(document, REQUIREMENTS_SCHEMA);
  const version = (document as Requirements | null)?.kernel?.version;
  if (faults.length === 0 && version !== undefined && parseRange(version) === undefined)
    faults.push(`kernel.version must be a range, as in >=6.8 or 4.19.x, not ${JSON.stringify(version.slice(0, 50))}`);
  if (faults.length === 0) return document as Requirements;
  throw new Failure("INVALID_SPEC", `the requirements do not fit their schema: ${faults.slice(0, 10).join("; ")}`, {
    remedy: "compare them with docs/schema/requirements.json",
  });
}
