/** A boundary whose machines begin from a template: beside the same boundary started cold. It is measured only once such a template is there. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@bulkhead/sdk";
import type { Subject } from "../subject.ts";
import { BulkheadSubject, type BulkheadSubjectOptions } from "./bulkhead.ts";

/** The daemon makes one by itself, a moment after the first cold start. */
const PATIENCE_MS = 60_000;
const ASK_EVERY_MS = 1500;

/** Undefined where nothing of this boundary boots. Rejects where no template was made in time. */
export async function openTemplateSubject(options: BulkheadSubjectOptions): Promise<Subject | undefined> {
  const { client, image, isolation, description } = options;
  for (const end = performance.now() + PATIENCE_MS; ; await sleep(ASK_EVERY_MS)) {
    const start = await startOf(client, image, isolation);
    if (start === undefined) return undefined;
    if (start === "template") break;
    if (!(await client.system.makesTemplates())) throw new Error("templates are switched off in the daemon's configuration");
    if (performance.now() > end) throw new Error(`no template was made within ${PATIENCE_MS / 1000} s`);
  }
  const { boundary: _, ...described } = description;
  const warm = new BulkheadSubject({ ...options, cold: false, description: { ...described, id: `${description.id}-template` } });
  return {
    description: warm.description,
    start: (command) => warm.start(command),
    idle: (count) => warm.idle(count),
    pss: () => warm.pss(),
    diskBytes: () => warm.diskBytes(),
    command: (metric, command) => warm.command(metric, command),
    close: () => warm.close(),
  };
}

/** How a machine of this boundary comes up now. */
async function startOf(client: Client, image: string, isolation: string): Promise<string | undefined> {
  const { Id } = await client.workloads.create({ Image: image, Cmd: ["sleep", "100000"], HostConfig: { Isolation: isolation, NetworkMode: "none" } });
  try {
    await client.workloads.start(Id);
    return (await client.workloads.inspect(Id)).Boundary?.start;
  } finally {
    await client.workloads.remove(Id, { force: true });
  }
}
