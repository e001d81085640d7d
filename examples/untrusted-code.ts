/**
 * Runs code that nobody has read, with a time limit, behind a boundary of your choice:
 *
 *     node examples/untrusted-code.ts [microvm|container]
 *
 * No network, a memory limit, a limit for each command and one for the sandbox's whole life. Whatever the code does, nothing of it is left.
 */

import { Failure, Sandbox } from "@bulkhead/sdk";

const SUBMISSIONS = [
  { who: "ada", script: "echo $((6 * 7))" },
  { who: "mallory", script: "while :; do :; done" },
  { who: "eve", script: "wget -T 1 -q -O - http://10.0.0.1/ || echo no way out" },
];

const isolation = process.argv[2] ?? "microvm";

for (const { who, script } of SUBMISSIONS) {
  await using sandbox = await Sandbox.create({ image: "busybox", isolation, network: "none", memoryBytes: 64 * 2 ** 20, lifetimeMs: 300_000 });
  try {
    const { exitCode, stdout } = await sandbox.commands.run(script, { timeoutMs: who === "mallory" ? 1000 : 30_000 });
    console.log(`${who}: exit ${exitCode}: ${stdout.trim()}`);
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== "TIMED_OUT") throw thrown;
    console.log(`${who}: took too long`);
  }
}
