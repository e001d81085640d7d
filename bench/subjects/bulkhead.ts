/** A boundary as users meet it: everything through the SDK. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Client, CreateDocument, Run } from "@bulkhead/sdk";
import { allocatedBytes } from "../disk.ts";
import { readOwnPss } from "../memory.ts";
import type { SubjectDescription } from "../series.ts";
import { SERVER_PORT } from "../gauge-server.ts";
import { type DiskPlace, type ExecTarget, type GaugeReading, type GaugeServer, type IdleInstances, now, type StartMoments, type Subject } from "../subject.ts";
import { shellWords } from "../shell-words.ts";

/** Where a volume of its own lies in a workload that writes. */
export const VOLUME = "/volume";

export interface BulkheadSubjectOptions {
  readonly client: Client;
  readonly description: SubjectDescription;
  readonly isolation: string;
  /** Machines boot, though there be a template; true unless said otherwise, so that cold starts are measured as such. */
  readonly cold?: boolean;
  readonly image: string;
  readonly gaugeImage: string;
  /** The daemon's root directory, for disk figures. */
  readonly root: string;
}

export class BulkheadSubject implements Subject {
  readonly description: SubjectDescription;
  private readonly options: BulkheadSubjectOptions;
  /** Layers that were there when the disk was first looked at. They never change, and may have very many files. */
  private unpacked: readonly string[] | undefined;

  constructor(options: BulkheadSubjectOptions) {
    this.options = options;
    this.description = options.description;
  }

  async start(command: readonly string[]): Promise<StartMoments> {
    const began = now();
    const run = await this.options.client.run(this.document(this.options.image, command, { AutoRemove: true }));
    let firstByte: number | undefined;
    for await (const chunk of run.output) if (chunk.bytes.length > 0) firstByte ??= now() - began;
    await succeeded(run, command);
    const exit = now() - began;
    return firstByte === undefined ? { exit } : { firstByte, exit };
  }

  gauge(measure: string): Promise<GaugeReading> {
    return this.runGauge([measure], {});
  }

  /** The volume is one of its own, and goes with the workload. */
  write(measure: string, place: DiskPlace): Promise<GaugeReading> {
    return place === "volume" ? this.runGauge([measure, VOLUME], { Mounts: [{ Type: "volume", Target: VOLUME }] }) : this.runGauge([measure, "/tmp"], {});
  }

  async serve(): Promise<GaugeServer> {
    const { client, gaugeImage } = this.options;
    const { Id } = await client.workloads.create(this.document(gaugeImage, ["/gauge", "serve", String(SERVER_PORT)], { NetworkMode: "bridge" }));
    const stop = (): Promise<void> => client.workloads.remove(Id, { force: true });
    try {
      await client.workloads.start(Id);
      const { NetworkSettings } = await client.workloads.inspect(Id);
      const { Networks = {} } = (NetworkSettings ?? {}) as { readonly Networks?: Readonly<Record<string, { readonly IPAddress?: string }>> };
      const [network] = Object.values(Networks);
      if (network?.IPAddress === undefined || network.IPAddress === "") throw new Error("the workload has no address");
      return { address: `${network.IPAddress}:${SERVER_PORT}`, stop };
    } catch (thrown) {
      await stop();
      throw thrown;
    }
  }

  private async runGauge(words: readonly string[], host: object): Promise<GaugeReading> {
    const run = await this.options.client.run(this.document(this.options.gaugeImage, ["/gauge", ...words], { AutoRemove: true, ...host }));
    let text = "";
    for await (const chunk of run.output) text += Buffer.from(chunk.bytes).toString("utf8");
    await succeeded(run, ["gauge", ...words]);
    return { measure: words[0] ?? "", ...(JSON.parse(text) as object) };
  }

  async openExec(): Promise<ExecTarget> {
    const { ids, stop } = await this.idle(1);
    const workload = ids[0] as string;
    const { client } = this.options;
    return {
      run: async () => {
        const began = now();
        const exec = await client.execs.create(workload, { Cmd: ["/bin/true"], AttachStdout: true, AttachStderr: true });
        const attached = await client.execs.start(exec, { terminal: false });
        for await (const chunk of attached.output) void chunk;
        const code = await client.execs.exitCode(exec);
        if (code !== 0) throw new Error(`exec of true gave ${code}`);
        return now() - began;
      },
      close: stop,
    };
  }

  async idle(count: number): Promise<IdleInstances> {
    const { client, image } = this.options;
    const ids: string[] = [];
    const stop = async (): Promise<void> => {
      for (const id of ids) await client.workloads.remove(id, { force: true });
    };
    try {
      for (let index = 0; index < count; index++) {
        const { Id } = await client.workloads.create(this.document(image, ["sleep", "100000"], {}));
        ids.push(Id);
        await client.workloads.start(Id);
      }
      return { ids, stop };
    } catch (thrown) {
      await stop();
      throw thrown;
    }
  }

  pss(): ReadonlyMap<number, number> {
    return readOwnPss(this.options.root);
  }

  /** All below the root but what no instance adds to: layers that were there before, the daemon's journal and log, and what it probed with. */
  diskBytes(): number {
    const { root } = this.options;
    if (!existsSync(join(root, "workloads"))) throw new Error(`${root} is not there: is the daemon's root on this machine, and may you read it?`);
    const layers = join(root, "images", "layers");
    this.unpacked ??= existsSync(layers) ? readdirSync(layers).map((name) => join(layers, name)) : [];
    return allocatedBytes(root, new Set([...this.unpacked, ...["state", "log", "probe"].map((name) => join(root, name))]));
  }

  command(metric: string, command: readonly string[]): string {
    const { isolation, image, gaugeImage } = this.options;
    const volume = command.includes(VOLUME) ? ["--volume", VOLUME] : [];
    if (command[0] === "/gauge") return shellWords(["bulkhead", "run", "--rm", ...volume, "--isolation", isolation, gaugeImage, ...command]);
    if (!metric.startsWith("startup") && metric !== "run_time") return shellWords(["bulkhead", "compare", image]);
    return shellWords(["time", "bulkhead", "run", "--rm", ...(this.cold ? ["--cold"] : []), "--isolation", isolation, image, ...command]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private get cold(): boolean {
    return this.options.cold ?? true;
  }

  private document(image: string, command: readonly string[], host: object): CreateDocument {
    const isGauge = image === this.options.gaugeImage;
    return {
      Image: image,
      Cmd: command,
      ...(isGauge ? {} : { Entrypoint: [] }),
      AttachStdout: true,
      AttachStderr: true,
      Labels: { "bulkhead.bench": "compare" },
      HostConfig: { Isolation: this.options.isolation, NetworkMode: "none", Cold: this.cold, ...host },
    };
  }
}

async function succeeded(run: Run, command: readonly string[]): Promise<void> {
  const { code } = await run.ended;
  if (code !== 0) throw new Error(`${command.join(" ")} exited with ${code}`);
}
