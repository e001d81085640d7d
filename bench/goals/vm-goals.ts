/**
 * The goal of whole machines: from the wish to start one to its system's first word, beside plain QEMU with the same command line on the same disk.
 * The disk is the tests' own; it is taken where it lies in the cache, and made nowhere here.
 */

import { spawn } from "node:child_process";
import { createReadStream, copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@bulkhead/sdk";
import { median } from "../statistics.ts";
import { now } from "../subject.ts";
import type { GoalResult } from "./goal.ts";

const FACTOR = 1.1;
const CACHE = join(process.env["BULKHEAD_CACHE"] ?? "/var/cache/bulkhead", "fixtures");
const IMAGE = "bulkhead/boot-disk:goal";
/** What the disk's system says once it is up. */
const READY = /boot \d+ of/;
const DEADLINE_MS = 120_000;

export interface VmGoalOptions {
  readonly client: Client;
  readonly isolation: string;
  readonly work: string;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

export async function measureVmGoals({ client, isolation, work, rounds, signal }: VmGoalOptions): Promise<GoalResult[]> {
  const name = existsSync(CACHE) ? readdirSync(CACHE).find((file) => /^boot-disk-[0-9a-f]+\.raw$/.test(file)) : undefined;
  if (name === undefined) return [{ id: "vm-boot", because: `no disk to boot lies in ${CACHE}: sh scripts/fixtures/boot-disk.sh DISK makes one` }];
  const disk = join(CACHE, name);
  for await (const line of client.images.import(createReadStream(disk), { reference: IMAGE, disk: true })) void line;
  const { Id } = await client.workloads.create({ Image: IMAGE, HostConfig: { Isolation: isolation, NetworkMode: "none", Memory: 256 * 1024 * 1024 } });
  try {
    const samples: { readonly ours: number[]; readonly plain: number[] } = { ours: [], plain: [] };
    let words: readonly string[] = [];
    for (let round = -1; round < rounds; round++) {
      signal.throwIfAborted();
      await sleep(200);
      const ours = await bootOurs(client, Id, (pid) => (words = plainWords(pid, work)));
      await sleep(200);
      const plain = await bootPlain(words);
      if (round < 0) continue;
      samples.ours.push(ours * 1000);
      samples.plain.push(plain * 1000);
    }
    const control = median(samples.plain);
    const row = {
      id: "vm-boot",
      text: "whole machine from start to its system's first word",
      unit: "ms",
      measured: median(samples.ours),
      limit: control * FACTOR,
    };
    return [{ ...row, from: `plain QEMU, same command line ${control.toFixed(0)} ms × ${FACTOR}`, n: rounds, samples }];
  } finally {
    await client.workloads.remove(Id, { force: true });
    await client.images.remove(IMAGE, { force: true });
  }
}

/** Stopped before it is started again, so that each boot raises everything anew. Seconds. */
async function bootOurs(client: Client, id: string, running: (pid: number) => void): Promise<number> {
  const line = await client.workloads.attach(id, { stdin: false, terminal: false });
  const began = now();
  await client.workloads.start(id);
  let said = "";
  for await (const { bytes } of line.output) if (READY.test((said = (said + Buffer.from(bytes).toString("latin1")).slice(-4000)))) break;
  const took = now() - began;
  line.close();
  if (!READY.test(said)) throw new Error(`the machine ended before it was up: ${said.slice(-200)}`);
  running((await client.workloads.inspect(id)).State.Pid);
  await client.workloads.kill(id);
  await (await client.workloads.wait(id)).ended;
  return took;
}

/** Its line becomes stdout, its control channel goes, its processors do not stand, its own disk is a copy; everything else stays. */
export function plainWords(pid: number, work: string): string[] {
  const original = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  const words: string[] = [];
  for (const [at, word] of original.entries()) {
    if (word === "-S" || (word === "-mon" && original[at + 1] === "chardev=control,mode=control") || word === "chardev=control,mode=control") continue;
    if (word === "-chardev" && original[at + 1]?.startsWith("socket,id=control,") === true) continue;
    if (word.startsWith("socket,id=control,")) continue;
    const own = /^(driver=file,node-name=disk-file,filename=)([^,]*)(,.*)$/.exec(word);
    if (own !== null) {
      const copy = join(work, "plain.qcow2");
      copyFileSync(own[2] as string, copy);
      words.push(`${own[1]}${copy}${own[3]}`);
    } else words.push(word.startsWith("socket,id=line,") ? "stdio,id=line,signal=off" : word);
  }
  if (words.some((word) => word.includes("fd="))) throw new Error("the machine has more descriptors than can be made again here");
  return words;
}

function bootPlain(words: readonly string[]): Promise<number> {
  const [program = "", ...programArguments] = words;
  return new Promise((resolve, reject) => {
    const began = now();
    const child = spawn(program, programArguments, { stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    let took: number | undefined;
    const timer = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString("latin1")).slice(-4000);
      if (took !== undefined || !READY.test(said)) return;
      took = now() - began;
      child.kill("SIGKILL");
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      if (took === undefined) reject(new Error(`plain QEMU did not boot: ${said.slice(-200)}`));
      else resolve(took);
    });
  });
}
