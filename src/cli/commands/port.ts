import { Failure } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { printLine } from "../output.ts";

interface Published {
  readonly HostIp: string;
  readonly HostPort: string;
}

export const command: Command = {
  usage: "WORKLOAD [PORT[/PROTO]]",
  description: "Say where the ports of a running workload are published on this host: all of them, or one.",
  options: [],
  examples: [{ command: "bulkhead port web 80", says: "the address and port to connect to" }],
  least: 1,
  most: 2,
  completes: "running",
  run: async ({ args, client }) => {
    const [reference = "", asked] = args;
    const { NetworkSettings: network } = (await client.workloads.inspect(reference)) as { readonly NetworkSettings?: { readonly Ports?: unknown } };
    const ports = Object.entries((network?.Ports ?? {}) as Readonly<Record<string, readonly Published[] | null>>);
    const wanted = asked === undefined || asked.includes("/") ? asked : `${asked}/tcp`;
    const lines = ports.flatMap(([inside, places]) =>
      wanted !== undefined && inside !== wanted
        ? []
        : (places ?? []).map(({ HostIp, HostPort }) => {
            const place = `${HostIp.includes(":") ? `[${HostIp}]` : HostIp}:${HostPort}`;
            return wanted === undefined ? `${inside} -> ${place}` : place;
          }),
    );
    if (wanted !== undefined && lines.length === 0)
      throw new Failure("NOT_FOUND", `no port ${JSON.stringify(wanted)} of ${reference} is published`, { remedy: `see \`bulkhead port ${reference}\`` });
    for (const line of lines) printLine(line);
    return 0;
  },
};
