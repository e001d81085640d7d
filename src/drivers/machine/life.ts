/** A machine's launch and adoption, whatever kind it is: marks beside its bundle say what was begun, for a daemon that comes after this one. */

import type { Call } from "../../contract/call.ts";
import type { Adoption } from "../../contract/driver.ts";
import type { LaunchPlan } from "../../contract/launch-plan.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { adoptSandbox, raise } from "../../host/raise.ts";
import { connectSandbox, type SupervisedOptions } from "../../host/supervised-sandbox.ts";
import { isThere, placeMark, removeFile } from "../../host/workload-files.ts";

export type MachinePlaces = ReturnType<typeof machinePlaces>;

/** Below the workload's directory, of every machine. */
export function machinePlaces(directory: string) {
  return { exitRecord: `${directory}/exit.json`, launchMark: `${directory}/launch-asked`, startMark: `${directory}/start-asked` } as const;
}

export interface MachineLaunch {
  readonly launcher: Launcher;
  readonly places: MachinePlaces;
  readonly plan: () => LaunchPlan;
  readonly options: (mainPid: number | undefined) => SupervisedOptions;
}

/** When it rejects, nothing stands and no mark says that anything was begun. */
export async function launchMachine({ launcher, places, plan, options }: MachineLaunch, call: Call): Promise<Sandbox> {
  removeFile(places.exitRecord);
  removeFile(places.startMark);
  placeMark(places.launchMark);
  try {
    const { mainPid } = await raise(launcher, plan(), call);
    call.reached("boundary-raised");
    return connectSandbox(options(mainPid));
  } catch (thrown) {
    removeFile(places.launchMark);
    throw thrown;
  }
}

export function adoptMachine(options: SupervisedOptions, places: MachinePlaces): Promise<Adoption> {
  return adoptSandbox(options, { launched: isThere(places.launchMark), startAsked: isThere(places.startMark) });
}
