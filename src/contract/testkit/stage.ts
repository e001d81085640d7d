/** One conformance case's stage: raises sandboxes and takes every one of them down again. */

import { plainCall } from "../call.ts";
import type { BoundaryDriver, Bundle } from "../driver.ts";
import { Failure } from "../failure.ts";
import { plainProcess, type AttachOptions, type Attachment, type ExitStatus, type ProcessSpec } from "../process.ts";
import type { Sandbox } from "../sandbox.ts";
import type { SandboxSpec } from "../spec.ts";
import type { ConformanceHarness } from "./harness.ts";

export const ALL_STREAMS: AttachOptions = { stdin: true, stdout: true, stderr: true };
export const OUTPUT: AttachOptions = { stdin: false, stdout: true, stderr: true };

export interface Raised {
  readonly spec: SandboxSpec;
  readonly bundle: Bundle;
  readonly sandbox: Sandbox;
}

export interface Output {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface Result extends Output {
  readonly status: ExitStatus;
}

export class Stage {
  driver: BoundaryDriver;
  readonly harness: ConformanceHarness;
  readonly call = plainCall();
  private readonly bundles: Bundle[] = [];

  constructor(harness: ConformanceHarness) {
    this.harness = harness;
    this.driver = harness.driver;
  }

  get say() {
    return this.harness.vocabulary;
  }

  process(command: readonly string[], changes: Partial<ProcessSpec> = {}): ProcessSpec {
    return { ...plainProcess(command), environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], ...changes };
  }

  async prepare(changes: Partial<SandboxSpec> = {}): Promise<{ readonly spec: SandboxSpec; readonly bundle: Bundle }> {
    const spec = { ...(await this.harness.makeSpec()), ...changes };
    const bundle = await this.driver.prepare(spec, this.harness.directoryOf(spec.workload), this.call);
    this.bundles.push(bundle);
    return { spec, bundle };
  }

  async raise(command: readonly string[], main: Partial<ProcessSpec> = {}, changes: Partial<SandboxSpec> = {}): Promise<Raised> {
    const { spec, bundle } = await this.prepare(changes);
    return { spec, bundle, sandbox: await this.driver.launch(bundle, this.process(command, main), this.call) };
  }

  /** Raises, attaches, starts, reads to the end. */
  async run(command: readonly string[], main: Partial<ProcessSpec> = {}, changes: Partial<SandboxSpec> = {}): Promise<Result> {
    const { sandbox } = await this.raise(command, main, changes);
    return this.finish(sandbox);
  }

  async finish(sandbox: Sandbox): Promise<Result> {
    const attachment = await sandbox.main.attach(OUTPUT, this.call);
    await sandbox.start(this.call);
    const output = await read(attachment);
    const { status } = await sandbox.ended;
    return { ...output, status };
  }

  async exec(sandbox: Sandbox, command: readonly string[], changes: Partial<ProcessSpec> = {}): Promise<Result> {
    const facet = need(sandbox.exec);
    const { process, attachment } = await facet.run(this.process(command, { stdinOnce: true, ...changes }), OUTPUT, this.call);
    const output = await read(attachment);
    return { ...output, status: await process.exited };
  }

  /** A running main process that does nothing but stand there. */
  async raiseSleeper(changes: Partial<SandboxSpec> = {}): Promise<Raised> {
    const raised = await this.raise(this.say.sleep(600), {}, changes);
    await raised.sandbox.start(this.call);
    return raised;
  }

  async clear(): Promise<void> {
    for (const bundle of this.bundles) await this.driver.remove(bundle, this.call);
  }
}

export function need<T>(facet: T | undefined): T {
  if (facet === undefined) throw new Error("the probe declared a facet that the sandbox does not have");
  return facet;
}

export async function read(attachment: Attachment): Promise<Output> {
  const parts: Record<"stdout" | "stderr", Uint8Array[]> = { stdout: [], stderr: [] };
  for await (const { stream, bytes } of attachment.output) parts[stream].push(Uint8Array.from(bytes));
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

/** Reads until stdout holds `text`, and gives all of it; the rest stays to be read by the same iterator. */
export async function readUntil(output: AsyncIterator<{ readonly stream: string; readonly bytes: Uint8Array }>, text: string): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const { value, done } = await output.next();
    if (done === true) throw new Error(`the output ended before ${JSON.stringify(text)}: ${JSON.stringify(seen)}`);
    seen += Buffer.from(value.bytes).toString("latin1");
  }
  return seen;
}

/** Resolves with the code of the failure that `work` rejects with, or `none`. */
export async function failureCode(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (thrown) {
    return thrown instanceof Failure ? thrown.code : `not a Failure: ${String(thrown)}`;
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** Asks every 20 ms until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  for (const end = Date.now() + deadlineMs; !(await isSo()); await pause(20)) if (Date.now() > end) throw new Error("it did not become so in time");
}
