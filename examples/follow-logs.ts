/**
 * Starts a workload in the background and follows what it writes, as `bulkhead logs -f` does, until it ends:
 *
 *     node examples/follow-logs.ts [microvm|container]
 */

import { Client } from "@bulkhead/sdk";

const client = new Client();
const script = "for i in 1 2 3; do echo tick $i; sleep 0.2; done; echo done >&2";
const { Id } = await client.workloads.create({
  Image: "busybox",
  Cmd: ["sh", "-c", script],
  HostConfig: { Isolation: process.argv[2] ?? "container" },
});
try {
  await client.workloads.start(Id);
  for await (const { stream, bytes } of client.workloads.logs(Id, { follow: true, terminal: false }))
    process.stdout.write(`${stream}: ${Buffer.from(bytes).toString("utf8")}`);
} finally {
  await client.workloads.remove(Id, { force: true });
  client.close();
}
