/**
 * A small CI job: steps in workloads of their own, one after another, that share a volume and nothing else:
 *
 *     node examples/ci-job.ts [microvm|container]
 *
 * The first step that fails ends the job with its exit code; the volume goes in any case.
 */

import { Client, type CreateDocument } from "@bulkhead/sdk";

const isolation = process.argv[2] ?? "container";
const STEPS = [
  { name: "checkout", script: "printf 'hello\\nworld\\n' > source.txt" },
  { name: "build", script: "tr a-z A-Z < source.txt > artefact.txt" },
  { name: "test", script: "grep -c . artefact.txt && grep -q WORLD artefact.txt" },
];

const client = new Client();
const volume = `ci-job-${process.pid}`;
await client.volumes.create({ name: volume });
try {
  for (const { name, script } of STEPS) {
    const document: CreateDocument = {
      Image: "busybox",
      Cmd: ["sh", "-ec", script],
      WorkingDir: "/work",
      AttachStdout: true,
      AttachStderr: true,
      HostConfig: { Isolation: isolation, AutoRemove: true, NetworkMode: "none", Binds: [`${volume}:/work`] },
    };
    const run = await client.run(document);
    for await (const { bytes } of run.output) process.stdout.write(`${name}: ${Buffer.from(bytes).toString("utf8")}`);
    const { code } = await run.ended;
    console.log(`${name}: exit ${code}`);
    if (code !== 0) {
      process.exitCode = code;
      break;
    }
  }
} finally {
  await client.volumes.remove(volume);
  client.close();
}
