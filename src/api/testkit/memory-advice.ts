/** A host that the advisor's tests know, and measurements in memory. */

import { EMULATING } from "../../advisor/testkit/hosts.ts";
import type { Measurements } from "../../advisor/index.ts";
import type { AdviceSource } from "../index.ts";

export function memoryAdvice(): AdviceSource {
  let kept: Measurements | undefined;
  return {
    describeHost: async () => EMULATING,
    readMeasurements: () => kept,
    keepMeasurements: (measurements) => {
      kept = measurements;
    },
  };
}
