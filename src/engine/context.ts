/** What every part of the engine works with. Built once by `createEngine`; holds no logic. */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Call, Log } from "../contract/call.ts";
import type { BoundaryDriver } from "../contract/driver.ts";
import { Failure } from "../contract/failure.ts";
import type { Images } from "../images/index.ts";
import type { Networks } from "../networks/index.ts";
import type { Collection } from "../state/index.ts";
import type { Volumes } from "../volumes/index.ts";
import type { HostCapacity } from "./capacity.ts";
import type { Clock } from "./clock.ts";
import type { EventBus } from "./events.ts";
import type { ExecRecord } from "./record.ts";
import type { Roster } from "./roster.ts";

export interface Context {
  readonly drivers: ReadonlyMap<BoundaryKind, BoundaryDriver>;
  readonly images: Images;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly roster: Roster;
  readonly execRecords: Collection<ExecRecord>;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly capacity: HostCapacity;
  readonly log: Log;
  /** The daemon's own directory; workloads lie below it. */
  readonly root: string;
  readonly measureDirectories: (directories: readonly string[]) => Promise<readonly number[]>;
}

export function getDriver(context: Context, kind: BoundaryKind): BoundaryDriver {
  const driver = context.drivers.get(kind);
  if (driver !== undefined) return driver;
  throw new Failure("UNSUPPORTED", `this daemon has no driver for the boundary ${kind}`, {
    boundary: kind,
    remedy: `Choose one of: ${[...context.drivers.keys()].join(", ")}.`,
  });
}

/** A call for work that the engine does on its own account. */
export function ownCall(context: Context, signal: AbortSignal = new AbortController().signal): Call {
  return { signal, log: context.log, reached() {} };
}

export function workloadDirectory(context: Context, id: string): string {
  return `${context.root}/workloads/${id}`;
}
