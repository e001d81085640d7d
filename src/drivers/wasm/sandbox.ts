/** The instance as a `Sandbox`: what every supervised sandbox is, with the facets that instances have. */

import type { Bundle } from "../../contract/driver.ts";
import { type SupervisedGiven, supervisedFrame } from "../../host/held-bundle.ts";
import type { SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { placesOf, type WasmBundle } from "./bundle.ts";

/** How the supervised sandbox of a bundle is reached and what it can do. Its runner is no process of its own: no pid on the host stands for it. */
export function sandboxOptions(bundle: Bundle, held: WasmBundle, given: Pick<SupervisedGiven, "launcher" | "log">): SupervisedOptions {
  return {
    ...supervisedFrame(bundle, held, placesOf(bundle.directory), { ...given, terminal: false, mainPid: undefined }),
    facets: { pause: true, resize: true, top: false, files: false },
  };
}
