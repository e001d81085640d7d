/** A sandbox of an OCI runtime: what every supervised sandbox is, its life from a written bundle on, and the facets that these boundaries have. */

import type { Call } from "../../contract/call.ts";
import type { Adoption, Bundle } from "../../contract/driver.ts";
import type { GuestProcess, LaunchPlan } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { RootSource } from "../../contract/spec.ts";
import { clearSandbox, type SupervisedGiven, supervisedFrame } from "../../host/held-bundle.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { adoptSandbox, raise } from "../../host/raise.ts";
import { connectSandbox, type SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { isThere, removeFile, writeWhole } from "../../host/workload-files.ts";
import { type OciBundle, placesOf } from "./bundle.ts";
import { readAccounts } from "./image-accounts.ts";
import type { OciConfig } from "./oci-config.ts";
import { composeExec, guardsOf } from "./process.ts";

/** What the boundaries differ in. */
export interface OciAbilities {
  /** All that a privileged exec can have. */
  readonly capabilities: readonly string[];
  /** Whether files inside are the host kernel's, so that a process of ours can enter their view. */
  readonly files: boolean;
  /** A process with a root of its own, as the supervisor is told it; absent: none. */
  readonly debug?: (process: ProcessSpec, tools: RootSource) => GuestProcess;
}

function sandboxOptions(bundle: Bundle, held: OciBundle, { capabilities, files, debug }: OciAbilities, given: SupervisedGiven): SupervisedOptions {
  const places = placesOf(bundle.directory);
  const guards = guardsOf(held.spec, capabilities);
  return {
    ...supervisedFrame(bundle, held, places, given),
    facets: {
      exec: (spec) => composeExec(spec, guards, readAccounts(held.spec.root, places.upper)),
      pause: true,
      resize: true,
      top: true,
      files,
      ...(debug === undefined ? {} : { debug }),
    },
  };
}

/** Takes away what an earlier launch left: its supervisor may still be unmaking what nobody waits for. */
export async function clearEarlier(launcher: Launcher, bundle: Bundle): Promise<void> {
  const places = placesOf(bundle.directory);
  if (isThere(places.config)) await clearSandbox(launcher, bundle);
  removeFile(places.exitRecord);
  removeFile(places.startMark);
}

/** Writes the configuration and raises the sandbox. It stands as the trace of a launch; where that fails, it is taken away again. */
export async function launchSandbox(
  launcher: Launcher,
  bundle: Bundle,
  given: { readonly held: OciBundle; readonly config: OciConfig; readonly plan: LaunchPlan; readonly abilities: OciAbilities },
  call: Call,
): Promise<Sandbox> {
  const { config: file } = placesOf(bundle.directory);
  writeWhole(file, JSON.stringify(given.config), 0o600);
  call.reached("bundle-written");
  try {
    const { mainPid } = await raise(launcher, given.plan, call);
    call.reached("boundary-raised");
    const { terminal } = given.plan.main;
    return connectSandbox(sandboxOptions(bundle, given.held, given.abilities, { launcher, log: call.log, terminal, mainPid }));
  } catch (thrown) {
    removeFile(file);
    throw thrown;
  }
}

export function adoptOciSandbox(
  launcher: Launcher,
  bundle: Bundle,
  given: { readonly held: OciBundle; readonly abilities: OciAbilities },
  call: Call,
): Promise<Adoption> {
  const places = placesOf(bundle.directory);
  const options = sandboxOptions(bundle, given.held, given.abilities, { launcher, log: call.log, terminal: false, mainPid: undefined });
  return adoptSandbox(options, { launched: isThere(places.config), startAsked: isThere(places.startMark) });
}
