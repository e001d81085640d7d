/** Reaching processes of the host, and through them its files and programs. */

import { execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { CreateDocument, HostConfig } from "@bulkhead/sdk";
import { run } from "../../harness/daemon.ts";
import type { Bed, Target } from "../bed.ts";
import type { Vector } from "../vector.ts";

/** From anywhere to the root. */
const UP = "../../../../../../../..";
const FULL = process.env["BULKHEAD_FULL"] === "1";
const WATCHED = "until [ -e /tmp/watching ]; do sleep 0.02; done";
const HOST_PROCESSES: HostConfig = { PidMode: "host" };
const HOST_PROCESSES_TRACED: HostConfig = { PidMode: "host", CapAdd: ["SYS_PTRACE"], SecurityOpt: ["apparmor=unconfined"] };

export const PROCESS_VECTORS: readonly Vector[] = [
  {
    id: "host-pid",
    deed: "signal a process of the host",
    follows: "host pid namespace",
    attempt: (bed) => `kill -KILL ${bed.victimPid}`,
    effect: "signal",
    told: /No such process/,
    control: { host: HOST_PROCESSES },
  },
  {
    id: "process-root",
    deed: "read the host's files through the root of one of its processes",
    follows: "/proc/PID/root",
    attempt: (bed) => `for process in /proc/${bed.victimPid} /proc/[0-9]*; do cat $process/root${bed.secretFile}; done`,
    effect: "secret",
    told: /No such file/,
    control: { host: HOST_PROCESSES_TRACED },
  },
  {
    id: "ptrace",
    deed: "trace a process of the host and read its memory",
    follows: "ptrace(2)",
    attempt: (bed) => `peek ${bed.victimPid}`,
    effect: "secret",
    told: /No such process/,
    control: { host: HOST_PROCESSES_TRACED },
  },
  {
    id: "keyring",
    deed: "take a key out of the keyring that the host's root has",
    follows: "keyrings(7): they belong to numbers of users, not to namespaces",
    attempt: (bed) => `keyring take ${bed.abstractName}`,
    carryOut: withKey,
    effect: "secret",
    told: /Operation not permitted|Function not implemented/,
    control: { host: { SecurityOpt: ["seccomp=unconfined", "apparmor=unconfined"], UsernsMode: "host" } },
    needs: (bed) => keysUnavailable(bed),
  },
  {
    id: "root-outside",
    deed: "be root for the host's kernel, should another wall have a hole",
    follows: "user_namespaces(7); CVE-2019-5736 and its like needed the host's root",
    attempt: () => "true",
    effect: {
      seen: async ({ daemon }, { name }) =>
        /^Uid:.*\b0\b/m.test(readFileSync(`/proc/${(await daemon.client.workloads.inspect(name)).State.Pid}/status`, "utf8")),
    },
    control: { host: { UsernsMode: "host" } },
  },
  {
    id: "leaked-descriptor",
    deed: "leave by a descriptor or a working directory that its runtime left open",
    follows: "CVE-2024-21626, CVE-2016-9962",
    attempt: (bed) => `for at in /proc/1/fd/* /proc/self/fd/* .; do for up in . ${UP}; do cat "$at/$up${bed.secretFile}"; done; done`,
    carryOut: fromDescriptors,
    effect: "secret",
    control: { own: chrootWithLeak },
  },
  {
    id: "runtime-overwrite",
    deed: "open for writing a program that the host runs for it",
    follows: "CVE-2019-5736",
    attempt: () => "rm -f /tmp/watching /tmp/enough; overwrite",
    carryOut: whileEntered,
    effect: "program",
    control: { own: whileEnteredCarelessly },
  },
];

async function withKey(bed: Bed, target: Target, script: string): Promise<string> {
  execFileSync(bed.program("keyring"), ["put", bed.abstractName, bed.secret]);
  try {
    return await target.say(script);
  } finally {
    execFileSync(bed.program("keyring"), ["drop", bed.abstractName]);
  }
}

function keysUnavailable(bed: Bed): string | undefined {
  try {
    execFileSync(bed.program("keyring"), ["put", bed.abstractName, "trial"]);
    execFileSync(bed.program("keyring"), ["drop", bed.abstractName]);
    return undefined;
  } catch {
    return "this kernel has no keyrings";
  }
}

/** An exec's working directory and the main process's, each descriptor that a runtime may have left; with a terminal too, for which more are open. */
async function fromDescriptors(bed: Bed, target: Target, script: string): Promise<string> {
  const { execs } = bed.daemon.client;
  const said = [await target.say(script)];
  const leave = `cat ./${UP}${bed.secretFile}`;
  const exec = async (WorkingDir: string, Tty: boolean): Promise<string> => {
    const id = await execs.create(target.name, { Cmd: ["sh", "-c", leave], WorkingDir, Tty, AttachStdout: true, AttachStderr: true });
    const { output } = await execs.start(id, { terminal: Tty });
    let text = "";
    for await (const { bytes } of output) text += Buffer.from(bytes).toString();
    return text;
  };
  // Elsewhere it is a kernel of the workload's own that is asked, and slowly.
  for (let number = 3; number < (target.quick || FULL ? 17 : 5); number++) {
    const WorkingDir = `/proc/self/fd/${number}`;
    said.push(await exec(WorkingDir, false).catch(String));
    if (!target.quick) continue;
    said.push(await exec(WorkingDir, true).catch(String), await runOnce(target, ["sh", "-c", leave], { WorkingDir }));
  }
  return said.join("\n");
}

/** A second workload behind the same boundary, and what it said. */
async function runOnce(target: Target, command: readonly string[], rest: Partial<CreateDocument>): Promise<string> {
  const { inhabitants } = target;
  try {
    await inhabitants.run("second", command, {}, { Image: "attempts", ...rest });
    await inhabitants.wait("second");
    return await inhabitants.log("second");
  } catch (thrown) {
    return String(thrown);
  } finally {
    await inhabitants.remove("second").catch(String);
  }
}

/** A root and a mount namespace of its own, and one open directory too many. */
function chrootWithLeak(bed: Bed, script: string): Promise<string> {
  const leak = openSync(dirname(bed.secretFile), "r");
  const words = ["--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" sh -c "$1"', bed.image, `exec 2>&1; ${script}`];
  const child = spawn("unshare", words, { stdio: ["ignore", "pipe", "ignore", leak] });
  closeSync(leak);
  let said = "";
  child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
  return new Promise((resolve) => child.once("close", () => resolve(said)));
}

/** Has the runtime enter the workload, time and again, to run there what is asked for: its own file, as it sees itself. */
async function whileEntered(bed: Bed, target: Target, script: string): Promise<string> {
  const watching = target.say(script);
  await target.say(WATCHED);
  for (let times = 0; times < 3; times++) await target.inhabitants.exec(target.name, ["/proc/self/exe", "--version"]).catch(String);
  if (target.quick) await runOnce(target, ["/proc/self/exe"], {});
  await target.say("touch /tmp/enough");
  return watching;
}

async function whileEnteredCarelessly(bed: Bed, script: string): Promise<string> {
  const target = await bed.raise("container", "control", { UsernsMode: "host" });
  const { State } = await bed.daemon.client.workloads.inspect("control");
  const watching = target.say(script);
  await target.say(WATCHED);
  // What succeeds may hold the program open for writing at the very moment at which it is run again: then it cannot be (ETXTBSY).
  for (let times = 0; times < 3; times++) await run(bed.program("enter"), [String(State.Pid)]).catch(String);
  await target.say("touch /tmp/enough");
  return watching;
}
