/**
 * `compare --peers`: Bulkhead beside dockerd and podman, where they are installed, at their own job and through their own clients.
 * dockerd and podman run with data of their own in namespaces made for the measurement; nothing of the host's is asked or touched.
 */

import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { CompareContext } from "../compare.ts";
import { findDaemon } from "../daemon-processes.ts";
import { describeHost, type HostDescription } from "../host.ts";
import { repeatCommand } from "../options.ts";
import { reasonOf } from "../reason.ts";
import { runMeasures } from "../runner.ts";
import type { Gap, Series } from "../series.ts";
import { startDockerd } from "./dockerd.ts";
import { measuresOf } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { openPodman } from "./podman.ts";

export interface PeersDocument {
  readonly schemaVersion: 1;
  readonly measuredAt: string;
  readonly command: string;
  readonly image: string;
  readonly complete: boolean;
  readonly host: HostDescription;
  readonly peers: readonly { readonly id: string; readonly version: string }[];
  readonly series: readonly Series[];
  readonly gaps: readonly Gap[];
}

export async function comparePeers(context: CompareContext): Promise<PeersDocument> {
  const { client, options } = context;
  const work = mkdtempSync(join(tmpdir(), "bulkhead-peers-"));
  const closing: (() => Promise<void>)[] = [];
  const gaps: Gap[] = [];
  try {
    const archive = join(work, "image.tar");
    await pipeline(Readable.from(await client.images.save([options.image])), createWriteStream(archive));
    const socket = client.host.replace("unix://", "");
    const { Version } = await client.system.version();
    const peers: Peer[] = [
      { id: "bulkhead", version: Version, client: ["docker", "-H", `unix://${socket}`], resident: () => findDaemon(socket), close: () => Promise.resolve() },
    ];
    for (const [id, raise] of [
      ["dockerd", startDockerd],
      ["podman", openPodman],
    ] as const) {
      context.progress.show(0, 1, `raising ${id}`);
      try {
        const peer = await raise(work, archive);
        closing.push(() => peer.close());
        peers.push(peer);
      } catch (thrown) {
        gaps.push({ subject: id, metric: "all", because: reasonOf(thrown) });
      }
    }
    const size = options.quick || options.brief ? { rounds: 5, longRounds: 1, instances: 10 } : { rounds: 30, longRounds: 3, instances: 20 };
    const measures = [];
    for (const peer of peers) {
      try {
        const own = await measuresOf(peer, { image: options.image, ...size });
        closing.push(own.close);
        measures.push(...own.measures);
      } catch (thrown) {
        gaps.push({ subject: peer.id, metric: "all", because: reasonOf(thrown) });
      }
    }
    const run = await runMeasures(measures, {
      seed: options.seed,
      pauseMs: 75,
      signal: context.signal,
      budgetMs: 20 * 60_000,
      warmUp: true,
      onProgress: (done, all, name) => context.progress.show(done, all, name),
    });
    return {
      schemaVersion: 1,
      measuredAt: new Date().toISOString(),
      command: repeatCommand(options),
      image: options.image,
      complete: run.complete,
      host: describeHost(),
      peers: peers.map(({ id, version }) => ({ id, version })),
      series: run.series,
      gaps: [...gaps, ...run.gaps],
    };
  } finally {
    context.progress.clear();
    for (const close of closing.toReversed()) await close().catch(() => {});
    rmSync(work, { recursive: true, force: true });
  }
}
