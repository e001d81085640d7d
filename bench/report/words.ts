/** What the table and the page say alike: which figures, of which host, and what the claims came to. */

import type { Verdict } from "../claims.ts";
import type { CompareDocument } from "./document.ts";
import { formatFigure } from "./figure.ts";
import { TITLES } from "./titles.ts";

export const SHORTENED = "Ended early (time was over, or it was interrupted): figures rest on fewer samples than planned.";

/** Those that have a title first, in its order. */
export function metricsOf({ series }: CompareDocument): readonly string[] {
  return [...new Set([...Object.keys(TITLES), ...series.map(({ metric }) => metric)])];
}

export function describeHost({ host }: CompareDocument): string {
  return `${host.processors} × ${host.processor}, ${formatFigure(host.memoryBytes, "bytes")}, Linux ${host.kernel}${host.guestOf === "none" ? "" : `, itself a guest of ${host.guestOf}`}`;
}

/** Empty where nothing is emulated. */
export function emulationNote({ subjects }: CompareDocument): string {
  const emulated = subjects.filter((subject) => subject.emulated);
  if (emulated.length === 0) return "";
  return `${emulated.map(({ id }) => id).join(" and ")}: emulated, because this host has no usable hardware virtualisation. Such a machine is no security boundary, and its figures say nothing about hardware.`;
}

export interface ClaimRow {
  readonly id: string;
  readonly source: string;
  readonly says: string;
  readonly measured: string;
  readonly kind: Verdict["verdict"];
  readonly verdict: string;
}

/** Claims that this run has something to say of. */
export function claimRows({ claims }: CompareDocument): readonly ClaimRow[] {
  return claims.flatMap(({ id, source, low, high, unit = "", says = "", judged }) => {
    if (judged.value === undefined && judged.verdict === "not-measurable") return [];
    const shown = unit.startsWith("instances") ? "instances" : unit;
    const range = [low, high].map((bound) => (bound === undefined ? "…" : formatFigure(bound, shown))).join(" to ");
    return [
      {
        id,
        source,
        says: low === undefined && high === undefined ? says : range,
        measured: judged.value === undefined ? judged.because : `${formatFigure(judged.value, shown)} (n ${judged.n})`,
        kind: judged.verdict,
        verdict: judged.verdict === "not-measurable" ? `not measurable: ${judged.because}` : judged.verdict,
      },
    ];
  });
}
