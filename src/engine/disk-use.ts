/** What workloads take on disk, and taking away those that are over. */

import type { Call } from "../contract/call.ts";
import { workloadDirectory, type Context } from "./context.ts";
import type { Removal } from "./removal.ts";
import type { Workload } from "./workload.ts";

export async function diskUse(context: Context, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const known = ids.filter((id) => context.roster.find(id) !== undefined);
  if (known.length === 0) return new Map();
  const bytes = await context.measureDirectories(known.map((id) => workloadDirectory(context, id)));
  return new Map(known.map((id, at) => [id, bytes[at] ?? 0]));
}

/** Removes every workload that does not run and is not to be kept. One that cannot be removed stays, and the log says why. */
export async function pruneEnded(
  context: Context,
  removal: Removal,
  keep: (workload: Workload) => boolean,
  call: Call,
): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }> {
  const isOver = ({ record: { state } }: Workload) => state === "created" || state === "exited" || state === "dead";
  const chosen = context.roster.all().filter((workload) => isOver(workload) && !keep(workload));
  const sizes = await diskUse(
    context,
    chosen.map(({ id }) => id),
  );
  const removed: string[] = [];
  for (const workload of chosen) {
    await removal.remove(workload, { force: false, volumes: false }, call).then(
      () => removed.push(workload.id),
      (thrown: unknown) => context.log.warn({ workload: workload.id, thrown }, "a workload could not be pruned"),
    );
  }
  return { removed, freedBytes: removed.reduce((total, id) => total + (sizes.get(id) ?? 0), 0) };
}
