/**
 * Runs code that nobody has read, with a time limit, behind a boundary of your choice:
 *
 *     node examples/untrusted-code.ts [microvm|container]
 *
 * No network, a memory limit, a limit for each command and one for the sandbox's whole life. Whatever the code does, nothing of it is left.
 * That the network is closed is shown by a control: the same line, from the same image, where the network is open.
 */

import { Failure, Sandbox } from "@bulkhead/sdk";

const isolation = process.argv[2] ?? "microvm";
const image = "busybox";

await using server = await Sandbox.create({ image, network: "bridge", lifetimeMs: 300_000, command: ["httpd", "-f", "-h", "/www"] });
const { NetworkSettings } = await server.inspect();
const { IPAddress } = NetworkSettings as { readonly IPAddress: string };
const reach = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${IPAddress} 80; echo "nc ended with $?"`;

const SUBMISSIONS = [
  { who: "ada", network: "none", script: "echo $((6 * 7))" },
  { who: "mallory", network: "none", script: "while :; do :; done" },
  { who: "the control", network: "bridge", script: reach },
  { who: "eve", network: "none", script: reach },
];

for (const { who, network, script } of SUBMISSIONS) {
  await using sandbox = await Sandbox.create({ image, isolation, network, memoryBytes: 64 * 2 ** 20, lifetimeMs: 300_000 });
  try {
    const { exitCode, stdout } = await sandbox.commands.run(script, { timeoutMs: who === "mallory" ? 1000 : 30_000 });
    const [first = "", ...more] = stdout.trim().split("\n");
    console.log(`${who}: exit ${exitCode}: ${[first.trim(), ...more.slice(-1)].join(", ")}`);
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== "TIMED_OUT") throw thrown;
    console.log(`${who}: took too long`);
  }
}
