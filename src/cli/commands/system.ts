import { Failure, type Client, type ImageSummary, type WorkloadSummary } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { confirm, FORCE_OPTION } from "../confirm.ts";
import { FORMAT_OPTIONS, formatOf, printListing } from "../format/listing.ts";
import { showBytes } from "../format/quantity.ts";
import { printLine } from "../output.ts";
import { reportFailure } from "../report.ts";

interface VolumeUse {
  readonly UsageData?: { readonly Size: number; readonly RefCount: number } | null;
}

interface DiskUse {
  readonly LayersSize?: number;
  readonly Images?: readonly (ImageSummary & { readonly SharedSize?: number })[] | null;
  readonly Containers?: readonly WorkloadSummary[] | null;
  readonly Volumes?: readonly VolumeUse[] | null;
}

function sizeOf(volume: VolumeUse): number {
  return volume.UsageData?.Size ?? 0;
}

export const systemDiskUse: Command = {
  usage: "[OPTIONS]",
  description: "What images, workloads and volumes take on disk.",
  options: FORMAT_OPTIONS,
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const use = (await client.system.diskUse()) as DiskUse;
    const images = use.Images ?? [];
    const workloads = use.Containers ?? [];
    const volumes = use.Volumes ?? [];
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + Math.max(0, value), 0);
    const used = new Set(workloads.map((workload) => workload.ImageID));
    const unusedImages = images.filter((image) => !used.has(image.Id));
    const stopped = workloads.filter((workload) => workload.State !== "running" && workload.State !== "paused");
    const freeVolumes = volumes.filter((volume) => (volume.UsageData?.RefCount ?? 0) === 0);
    const row = (type: string, [total, active]: readonly [number, number], [size, reclaimable]: readonly [number, number]): Record<string, string> => ({
      Type: type,
      TotalCount: String(total),
      Active: String(active),
      Size: showBytes(size),
      Reclaimable: `${showBytes(reclaimable)}${size > 0 ? ` (${Math.floor((reclaimable / size) * 100)}%)` : ""}`,
    });
    const imageBytes = [
      use.LayersSize ?? sum(images.map((image) => image.Size)),
      sum(unusedImages.map((image) => image.Size - Math.max(0, image.SharedSize ?? 0))),
    ] as const;
    const rows = [
      row("Images", [images.length, images.length - unusedImages.length], imageBytes),
      row(
        "Workloads",
        [workloads.length, workloads.length - stopped.length],
        [sum(workloads.map((one) => one.SizeRw ?? 0)), sum(stopped.map((one) => one.SizeRw ?? 0))],
      ),
      row("Volumes", [volumes.length, volumes.length - freeVolumes.length], [sum(volumes.map(sizeOf)), sum(freeVolumes.map(sizeOf))]),
    ];
    const headings = { Type: "TYPE", TotalCount: "TOTAL", Active: "ACTIVE", Size: "SIZE", Reclaimable: "RECLAIMABLE" };
    printListing(rows, { headings, columns: Object.keys(headings) }, formatOf(flags));
    return 0;
  },
};

export const systemReset: Command = {
  usage: "[OPTIONS]",
  description: "Remove every workload, volume, network and image of this daemon.",
  options: [
    FORCE_OPTION,
    { name: "stop", kind: "flag", help: "Stop the daemon afterwards, and take away all that it made on the host, the files of its root included" },
  ],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    await client.system.requireBulkhead("be reset");
    if (!(await confirm(flags, `This ends and removes all workloads, volumes, networks and images of the daemon at ${client.host}.`))) return 1;
    let code = 0;
    for (const step of [resetWorkloads, resetVolumes, resetNetworks, resetImages]) code = Math.max(code, await step(client));
    await client.system.removeTemplates();
    if (flags.on("stop")) {
      const { pid } = await client.system.stop({ teardown: true });
      await untilSilent(client);
      // It takes away its bridges and groups after it has stopped to listen.
      if (client.host.startsWith("unix:")) await untilEnded(pid);
      printLine("the daemon has stopped");
    }
    return code;
  },
};

const STOP_PATIENCE_MS = 20_000;

/** Resolves when nobody answers any longer. */
async function untilSilent(client: Client): Promise<void> {
  const deadline = performance.now() + STOP_PATIENCE_MS;
  for (;;) {
    try {
      await client.system.ping({ signal: AbortSignal.timeout(1000) });
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.code !== "TIMED_OUT") return;
    }
    if (performance.now() > deadline) {
      throw new Failure("TIMED_OUT", "the daemon still answers 20 s after it was asked to stop", {
        remedy: "`systemctl stop bulkhead`, or send SIGTERM to its process",
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Resolves when no process on this host has the number, or a minute has passed. */
async function untilEnded(pid: number): Promise<void> {
  for (const deadline = performance.now() + 3 * STOP_PATIENCE_MS; performance.now() < deadline; ) {
    try {
      process.kill(pid, 0);
    } catch (thrown) {
      if (thrown instanceof Error && "code" in thrown && thrown.code === "ESRCH") return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Everything is tried; what cannot be removed is told. */
async function each<T>(things: readonly T[], what: string, act: (thing: T) => Promise<unknown>): Promise<number> {
  let failed = 0;
  for (const thing of things) {
    try {
      await act(thing);
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.code === "NOT_FOUND") continue;
      reportFailure(thrown, "system reset");
      failed++;
    }
  }
  if (things.length > 0) printLine(`${things.length - failed} of ${things.length} ${what} removed`);
  return failed === 0 ? 0 : 1;
}

async function resetWorkloads(client: Client): Promise<number> {
  return each(await client.workloads.list({ all: true }), "workloads", (one) => client.workloads.remove(one.Id, { force: true, volumes: true }));
}

async function resetVolumes(client: Client): Promise<number> {
  return each(await client.volumes.list(), "volumes", (one) => client.volumes.remove(one.Name, { force: true }));
}

async function resetNetworks(client: Client): Promise<number> {
  const predefined = new Set(["bridge", "host", "none"]);
  const own = (await client.networks.list()).filter((one) => !predefined.has(one.Name));
  return each(own, "networks", (one) => client.networks.remove(one.Id));
}

async function resetImages(client: Client): Promise<number> {
  return each(await client.images.list({ all: true }), "images", (one) => client.images.remove(one.Id, { force: true }));
}
