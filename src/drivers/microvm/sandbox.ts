/** The machine as a `Sandbox`: what every supervised sandbox is, with the facets that machines have. */

import type { Bundle } from "../../contract/driver.ts";
import { type SupervisedGiven, supervisedFrame } from "../../host/held-bundle.ts";
import type { SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { type MicrovmBundle, placesOf } from "./bundle.ts";
import { composeProcess } from "./process.ts";

export const MICROVM_FACETS = ["exec", "pause", "resize", "top", "files"] as const;

/** How the supervised sandbox of a bundle is reached and what it can do. */
export function sandboxOptions(bundle: Bundle, held: MicrovmBundle, given: SupervisedGiven): SupervisedOptions {
  return {
    ...supervisedFrame(bundle, held, placesOf(bundle.directory), given),
    facets: { exec: (spec) => composeProcess(spec, held.spec, "exec"), pause: true, resize: true, top: true, files: true },
  };
}
