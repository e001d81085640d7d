/**
 * A place to run other people's code: one workload that waits, and commands and files in it.
 *
 *     await using sandbox = await Sandbox.create({ image: "python:3.12", isolation: "microvm" });
 *     const { stdout } = await sandbox.commands.run(["python", "-c", "print(1 + 1)"], { check: true });
 *
 * Three limits, never one: the sandbox's life (`lifetimeMs`), a command (`timeoutMs`), a request (`signal`). Each is without
 * limit where it is left out; none implies another.
 */

import { Client, type ClientOptions } from "./client.ts";
import { Commands } from "./commands.ts";
import type { CreateDocument, WorkloadDocument } from "./documents.ts";
import { Failure } from "./failure.ts";
import { Files } from "./files.ts";
import type { Cancellable } from "./workloads.ts";

export interface SandboxOptions extends Cancellable, ClientOptions {
  readonly image: string;
  /** `container`, `microvm`, …; absent is the daemon's default. Never replaced by a weaker one. */
  readonly isolation?: string;
  readonly name?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly user?: string;
  /** `none`, `bridge`, or a network's name. */
  readonly network?: string;
  readonly memoryBytes?: number;
  readonly cpus?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** How long the sandbox may live, commands or not; in whole seconds upward. Kept inside the boundary: it holds without this client. */
  readonly lifetimeMs?: number;
  /** What keeps it alive instead of `sleep`, for images without one. */
  readonly command?: readonly string[];
}

const FOR_EVER_SECONDS = 2_147_483_647;

export class Sandbox {
  readonly id: string;
  readonly commands: Commands;
  readonly files: Files;
  private readonly client: Client;

  private constructor(client: Client, id: string) {
    this.client = client;
    this.id = id;
    this.commands = new Commands(client, id);
    this.files = new Files(this.commands, client.files, id);
  }

  /** Pulls the image where it is not there. Nothing is left behind when it rejects. */
  static async create(options: SandboxOptions): Promise<Sandbox> {
    if (options.lifetimeMs !== undefined && !(options.lifetimeMs > 0)) {
      throw new Failure("INVALID_SPEC", `lifetimeMs is ${options.lifetimeMs}`, { remedy: "leave it out for no limit, or give milliseconds above 0" });
    }
    const client = new Client(options);
    const { signal } = options;
    let id: string | undefined;
    try {
      id = await createPulling(client, options);
      await client.workloads.start(id, { signal });
      return new Sandbox(client, id);
    } catch (thrown) {
      if (id !== undefined) await client.workloads.remove(id, { force: true, volumes: true }).catch(() => undefined);
      client.close();
      throw thrown;
    }
  }

  /** Joins a sandbox that runs already; its lifetime stays what it was. */
  static async connect(reference: string, options: ClientOptions & Cancellable = {}): Promise<Sandbox> {
    const client = new Client(options);
    const found = await client.workloads.inspect(reference, { signal: options.signal });
    if (!found.State.Running) {
      client.close();
      throw new Failure("WRONG_STATE", `the sandbox ${reference} does not run: it is ${found.State.Status}`, { workload: found.Id });
    }
    return new Sandbox(client, found.Id);
  }

  inspect(options: Cancellable = {}): Promise<WorkloadDocument> {
    return this.client.workloads.inspect(this.id, options);
  }

  /** Ends it with everything in it and removes it. A sandbox that is gone already is no failure. */
  async kill(options: Cancellable = {}): Promise<void> {
    try {
      await this.client.workloads.remove(this.id, { force: true, volumes: true, signal: options.signal });
    } catch (thrown) {
      if (!(thrown instanceof Failure) || thrown.code !== "NOT_FOUND") throw thrown;
    } finally {
      this.client.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

async function createPulling(client: Client, options: SandboxOptions): Promise<string> {
  const document = documentOf(options);
  const create = async (): Promise<string> => (await client.workloads.create(document, { name: options.name, signal: options.signal })).Id;
  try {
    return await create();
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== "NOT_FOUND" || (await client.images.exists(options.image, { signal: options.signal }))) throw thrown;
    for await (const _ of client.images.pull(options.image, { signal: options.signal }));
    return create();
  }
}

function documentOf(options: SandboxOptions): CreateDocument {
  const seconds = options.lifetimeMs === undefined ? FOR_EVER_SECONDS : Math.ceil(options.lifetimeMs / 1000);
  const command = options.command ?? ["sleep", String(seconds)];
  return {
    Image: options.image,
    Entrypoint: [command[0] ?? "sleep"],
    Cmd: command.slice(1),
    Env: Object.entries(options.environment ?? {}).map(([name, value]) => `${name}=${value}`),
    Labels: options.labels ?? {},
    ...(options.workingDirectory === undefined ? {} : { WorkingDir: options.workingDirectory }),
    ...(options.user === undefined ? {} : { User: options.user }),
    HostConfig: {
      AutoRemove: true,
      Init: true,
      ...(options.isolation === undefined ? {} : { Isolation: options.isolation }),
      ...(options.network === undefined ? {} : { NetworkMode: options.network }),
      ...(options.memoryBytes === undefined ? {} : { Memory: options.memoryBytes }),
      ...(options.cpus === undefined ? {} : { NanoCpus: Math.round(options.cpus * 1e9) }),
    },
  };
}
