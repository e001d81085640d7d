/** The measures that leave the processor: a disk that gets what is written, a network that carries it. */

import { askServer, SERVER_PORT, untilItAnswers } from "./gauge-server.ts";
import type { Measure, Sample } from "./runner.ts";
import { nanosecondsPerOperation, type Subject } from "./subject.ts";
import { VOLUME } from "./subjects/bulkhead.ts";

const DISK_GAUGES = ["disk-sequential", "disk-random", "disk-synced"] as const;
const DISK_PLACES = [
  { place: "rootfs", directory: "/tmp" },
  { place: "volume", directory: VOLUME },
] as const;
const NETWORK_GAUGES = [
  { gauge: "net-request", metric: "net_request" },
  { gauge: "net-send", metric: "net_send" },
] as const;

/** Writing that the disk has at the end, on the workload's own file system and on a volume. */
export function measureDisk(subject: Subject, rounds: number): Measure[] {
  if (subject.write === undefined || rounds === 0) return [];
  const write = subject.write.bind(subject);
  return DISK_GAUGES.flatMap((gauge) =>
    DISK_PLACES.map(({ place, directory }) => {
      const metric = `${gauge.replace("-", "_")}_${place}`;
      const command = subject.command(metric, ["/gauge", gauge, directory]);
      return {
        subject: subject.description.id,
        name: metric,
        rounds,
        sample: async () => [{ metric, value: nanosecondsPerOperation(await write(gauge, place)), unit: "ns" as const, command }],
      };
    }),
  );
}

export interface NetworkOptions {
  readonly rounds: number;
  /** The gauge on this host. */
  readonly gaugePath: string;
}

/** From this host to a workload on the default network: an answer to each message of 64 bytes, and pieces of 1 MiB one way. */
export function measureNetwork(subject: Subject, { rounds, gaugePath }: NetworkOptions): Measure[] {
  if (subject.serve === undefined || rounds === 0) return [];
  const serve = subject.serve.bind(subject);
  return [
    {
      subject: subject.description.id,
      name: "network",
      rounds,
      sample: async () => {
        const { address, stop } = await serve();
        try {
          await untilItAnswers(gaugePath, address);
          const samples: Sample[] = [];
          for (const { gauge, metric } of NETWORK_GAUGES) {
            const value = nanosecondsPerOperation(await askServer(gaugePath, gauge, address));
            const served = subject.command(metric, ["/gauge", "serve", String(SERVER_PORT)]);
            samples.push({ metric, value, unit: "ns", command: `${served} & dist/native/bulkhead-gauge ${gauge} ADDRESS:${SERVER_PORT}` });
          }
          return samples;
        } finally {
          await stop();
        }
      },
    },
  ];
}
