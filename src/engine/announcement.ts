/** How the engine tells of a workload. */

import type { Context } from "./context.ts";
import type { Workload } from "./workload.ts";

export function announceWorkload(context: Context, workload: Workload, name: string, attributes: Readonly<Record<string, string>> = {}): void {
  const { record } = workload;
  const { insteadOf } = record.request;
  context.events.announce({
    kind: "workload",
    name,
    subject: record.id,
    attributes: {
      ...record.labels,
      image: record.request.image,
      name: record.name,
      boundary: record.boundary.kind,
      ...(record.boundary.emulated ? { emulated: "true" } : {}),
      ...(insteadOf === undefined ? {} : { insteadOf }),
      ...attributes,
    },
  });
}
