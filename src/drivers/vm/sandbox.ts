/** The whole machine as a `Sandbox`: it can be paused; who would start processes in it, list them or move its files is not there. */

import type { Bundle, FacetName } from "../../contract/driver.ts";
import { type SupervisedGiven, supervisedFrame } from "../../host/held-bundle.ts";
import type { SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { placesOf, type VmBundle } from "./bundle.ts";

export const VM_FACETS: readonly FacetName[] = ["pause"];

export function sandboxOptions(bundle: Bundle, held: VmBundle, given: SupervisedGiven): SupervisedOptions {
  return { ...supervisedFrame(bundle, held, placesOf(bundle.directory), given), facets: { pause: true, resize: false, top: false, files: false } };
}
