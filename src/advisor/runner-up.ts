/** The next best, and what would have to be otherwise for it to win: found by asking the question again, changed in one point. */

import type { BoundaryKind } from "../contract/boundary.ts";
import { decide, type Decision, type Question } from "./decide.ts";
import { assume } from "./host.ts";

export interface RunnerUp {
  readonly boundary: BoundaryKind;
  readonly wouldWinIf: string;
}

interface Counterfactual {
  readonly text: string;
  readonly change: (question: Question) => Question;
}

const withNeeds =
  (change: Question["requirements"]) =>
  (question: Question): Question => ({ ...question, requirements: { ...question.requirements, ...change } });

const withWeights =
  (change: NonNullable<Question["requirements"]["weights"]>) =>
  (question: Question): Question => ({ ...question, requirements: { ...question.requirements, weights: { ...question.requirements.weights, ...change } } });

const withHost =
  (...words: string[]) =>
  (question: Question): Question => ({ ...question, host: assume(question.host, words) });

/** From what is likeliest to change to what is least. */
const COUNTERFACTUALS: readonly Counterfactual[] = [
  { text: "hardware virtualisation were usable on this host (KVM)", change: withHost("kvm=yes") },
  { text: "the code were untrusted", change: withNeeds({ trust: "untrusted" }) },
  { text: "a rule-book demanded a hypervisor", change: withNeeds({ compliance: "hypervisor" }) },
  { text: "the code were your own, and nobody else's workloads beside it", change: withNeeds({ trust: "own", tenancy: "single" }) },
  { text: "gVisor were installed", change: withHost("runsc=newest") },
  { text: "it needed a kernel of its own", change: withNeeds({ kernel: { own: true } }) },
  { text: "it were a machine that is patched in place (state: pet)", change: withNeeds({ state: "pet", initSystem: true }) },
  { text: "security weighed three times as much", change: withWeights({ security: 3 }) },
  { text: "speed did not matter", change: withWeights({ speed: 0 }) },
  { text: "cost did not matter", change: withWeights({ cost: 0 }) },
  { text: "only security mattered", change: withWeights({ security: 1, speed: 0, cost: 0 }) },
  { text: "security were left out of the weights", change: withWeights({ security: 0 }) },
  {
    text: "no budget of start-up, memory or density were set",
    change: ({ requirements: { budgets: _budgets, ...requirements }, ...rest }) => ({ ...rest, requirements }),
  },
  { text: "no rule-book demanded more (compliance: none)", change: withNeeds({ compliance: "none" }) },
  { text: "it asked for no privileges", change: withNeeds({ privileges: [] }) },
  { text: "it were a WebAssembly module", change: withNeeds({ artifact: "wasm-module", guest: {}, kernel: {}, privileges: [], gpu: "none", nested: "none" }) },
];

/** Undefined where no other boundary could win by any one change. */
export function findRunnerUp(question: Question, decision: Decision): RunnerUp | undefined {
  const winner = decision.ranked[0]?.candidate.boundary;
  const second = decision.ranked[1]?.candidate.boundary;
  const wins = COUNTERFACTUALS.map(({ text, change }) => ({ text, boundary: decide(change(question)).ranked[0]?.candidate.boundary }));
  const found =
    wins.find(({ boundary }) => boundary === second && second !== undefined) ?? wins.find(({ boundary }) => boundary !== undefined && boundary !== winner);
  if (found?.boundary !== undefined) return { boundary: found.boundary, wouldWinIf: found.text };
  return second === undefined ? undefined : { boundary: second, wouldWinIf: `${winner ?? "the winner"} could not be had` };
}
