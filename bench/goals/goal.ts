/** A row of the project's table of goals: what was measured, what it may be at most, and the verdict. */

/** Kept before each sample: back to back, work that the kernel defers is hidden. `docs/measuring.md` says why. */
export const PAUSE_MS = 75;

export interface Goal {
  readonly id: string;
  readonly text: string;
  readonly unit: string;
  /** The most that is allowed, computed from the same run's controls. */
  readonly limit: number;
  readonly measured: number;
  /** What the limit was computed from. */
  readonly from: string;
  readonly n: number;
  /** Raw samples by name, kept with the report. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

export interface MissingGoal {
  readonly id: string;
  readonly because: string;
}

export type GoalResult = Goal | MissingGoal;

export function isMet(result: GoalResult): boolean {
  return "measured" in result && result.measured <= result.limit;
}

export function renderGoals(results: readonly GoalResult[]): string {
  const lines = results.map((result) => {
    if (!("measured" in result)) return `missing  ${result.id}: ${result.because}`;
    const figure = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ${result.unit}`;
    return `${isMet(result) ? "met     " : "MISSED  "} ${result.id}: ${result.text}\n         measured ${figure(result.measured)}, at most ${figure(result.limit)} (${result.from}; n ${result.n})`;
  });
  return `${lines.join("\n")}\n`;
}
