/**
 * A supervisor's socket as the contract's `Sandbox`: the same behind every boundary that a supervisor carries.
 *
 *   control connection: requests, events, heartbeat      lost ─▶ exit record ─▶ connect again ─▶ lost for good
 *   one connection more per attachment and per exec
 *
 * What a boundary cannot do is not put on the object: the driver hands in the facets that exist.
 */

import type { BoundaryIdentity } from "../contract/boundary.ts";
import type { Call, Log } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { GuestProcess } from "../contract/launch-plan.ts";
import type { AttachOptions, Attachment, Process, ProcessSpec } from "../contract/process.ts";
import type { EndReason, ResourceUse, Sandbox } from "../contract/sandbox.ts";
import type { RootSource } from "../contract/spec.ts";
import type { SupervisorAsk, SupervisorOk, SupervisorVerb } from "../contract/supervisor-protocol.ts";
import { parseExitStatus } from "./exit-record.ts";
import { type ProcessEntry, ProcessTable } from "./process-table.ts";
import { SupervisedAttachment } from "./supervised-attachment.ts";
import { composeFilesFacet } from "./supervised-files.ts";
import { SupervisorLink } from "./supervisor-link.ts";

export interface SupervisedFacets {
  /** Turns what a caller asks for into what the supervisor is told; absent: no exec behind this boundary. */
  readonly exec?: (spec: ProcessSpec) => GuestProcess;
  readonly pause: boolean;
  readonly resize: boolean;
  readonly top: boolean;
  readonly files: boolean;
  /** As `exec`, for a process with a root of its own; absent: none behind this boundary. */
  readonly debug?: (spec: ProcessSpec, tools: RootSource) => GuestProcess;
}

export interface SupervisedOptions {
  readonly workload: string;
  readonly identity: BoundaryIdentity;
  readonly socket: string;
  readonly exitRecord: string;
  /** Whether the main process has a terminal. */
  readonly terminal: boolean;
  readonly mainPid: number | undefined;
  readonly facets: SupervisedFacets;
  readonly log: Log;
  /** Called right before `start` is asked for, so that a later daemon can tell. */
  readonly noteStart?: () => void;
  /** Makes sure that nothing of the boundary stands, when its supervisor went away without a word. */
  clear(): Promise<void>;
}

/** A sandbox whose supervisor is known to stand. Nothing is awaited: a lost supervisor shows at the first request and in `ended`. */
export function connectSandbox(options: SupervisedOptions): Sandbox {
  const supervised = new SupervisedSandbox(options);
  supervised.link.connect();
  return supervised.toSandbox();
}

/**
 * A sandbox that an earlier daemon launched, with what its supervisor says of it; undefined where none answers on the socket.
 */
export async function findSandbox(options: SupervisedOptions): Promise<{ sandbox: Sandbox; hello: SupervisorOk<"hello"> } | undefined> {
  const supervised = new SupervisedSandbox(options);
  const hello = await supervised.link.greet();
  if (hello === undefined) return undefined;
  return { sandbox: supervised.toSandbox(), hello };
}

class SupervisedSandbox {
  readonly #options: SupervisedOptions;
  readonly processes = new ProcessTable();
  readonly link: SupervisorLink;
  readonly #ended = Promise.withResolvers<EndReason>();
  #endReason: EndReason | undefined;

  constructor(options: SupervisedOptions) {
    this.#options = options;
    const main = this.processes.get(0);
    main.hostPid = options.mainPid;
    main.terminal = options.terminal;
    this.link = new SupervisorLink(options, {
      greeted: (hello) => this.#greeted(hello),
      event: (message) => this.#event(message),
      ended: (reason) => this.#end(reason),
    });
  }

  toSandbox(): Sandbox {
    const { facets } = this.#options;
    const { exec: toGuest, debug: toBeside } = facets;
    const named = (spec: ProcessSpec) => (spec.name === undefined ? {} : { name: spec.name });
    return {
      identity: this.#options.identity,
      main: this.#process(this.processes.get(0)),
      ended: this.#ended.promise,
      start: () => this.#start(),
      stats: () => this.#ask("stats", {}) as Promise<ResourceUse>,
      end: () => this.#endAll(),
      ...(toGuest === undefined
        ? {}
        : {
            exec: {
              run: (spec: ProcessSpec, attach: AttachOptions, call: Call) => this.#exec({ spec: toGuest(spec), attach, ...named(spec) }, call),
              find: (exec: number | string) => {
                const entry = this.processes.find(exec);
                return entry === undefined || entry.number === 0 ? undefined : this.#process(entry);
              },
            },
          }),
      ...(facets.pause ? { pause: { pause: () => this.#order("pause", {}), resume: () => this.#order("resume", {}) } } : {}),
      ...(facets.resize ? { resize: { update: (limits) => this.#order("update", { limits }) } } : {}),
      ...(facets.top ? { top: { processes: () => this.#ask("top", {}) } } : {}),
      ...(facets.files ? { files: composeFilesFacet((spec, attach, call) => this.#exec({ spec, attach }, call), this.#options) } : {}),
      ...(toBeside === undefined
        ? {}
        : { debug: { run: (spec, tools, attach, call) => this.#exec({ spec: toBeside(spec, tools), attach, ...named(spec) }, call) } }),
    };
  }

  #process(entry: ProcessEntry): Process {
    const { number } = entry;
    return {
      number,
      get hostPid() {
        return entry.hostPid;
      },
      exited: entry.exited,
      attach: (options, call) => this.#attach(number, options, call),
      signal: async (name) => {
        if (entry.status !== undefined) return false;
        try {
          return (await this.#ask("signal", { process: number, signal: name })).delivered;
        } catch (thrown) {
          if (this.#endReason !== undefined) return false; // it ended while it was asked
          throw thrown;
        }
      },
      resizeTerminal: async (size) => {
        if (!entry.terminal) throw this.#failure("UNSUPPORTED", "The process has no terminal that could be resized");
        await this.#ask("resize", { process: number, rows: size.rows, columns: size.columns });
      },
    };
  }

  async #start(): Promise<void> {
    this.#options.noteStart?.();
    await this.#ask("start", {});
  }

  async #endAll(): Promise<void> {
    if (this.#endReason === undefined) {
      await this.#ask("end", {}).catch((thrown: unknown) => {
        if (toFailure(thrown).code !== "CONNECTION_LOST" && this.#endReason === undefined) throw thrown;
      });
    }
    await this.#ended.promise;
  }

  async #attach(process: number, options: AttachOptions, call: Call): Promise<Attachment> {
    this.#refuseEnded();
    const attachment = this.#join(options, call);
    attachment.follow(process);
    await this.#joined(attachment, "attach", { process, stdin: options.stdin, stdout: options.stdout, stderr: options.stderr });
    return attachment;
  }

  async #exec(ask: SupervisorAsk<"exec">, call: Call): Promise<{ process: Process; attachment: Attachment }> {
    this.#refuseEnded();
    const attachment = this.#join(ask.attach, call);
    this.processes.begin();
    const answer = (await this.#joined(attachment, "exec", ask).catch((thrown: unknown) => {
      this.processes.failed();
      throw thrown;
    })) as SupervisorOk<"exec">;
    attachment.follow(answer.process);
    const entry = this.processes.begun(answer.process);
    entry.hostPid = answer.hostPid ?? undefined;
    entry.name = ask.name;
    entry.terminal = ask.spec.terminal;
    return { process: this.#process(entry), attachment };
  }

  #join(attach: AttachOptions, call: Call): SupervisedAttachment {
    if (call.signal.aborted) throw this.#failure("CANCELLED", "The request was given up before it was carried out");
    return new SupervisedAttachment({
      socket: this.#options.socket,
      attach,
      signal: call.signal,
      event: (message) => this.#event(message),
      hasExited: (process) => this.processes.find(process)?.status !== undefined,
      examine: async (cause) => {
        const finding = await this.link.examine();
        return this.#endReason === undefined
          ? this.#failure("CONNECTION_LOST", `The output was cut: ${cause?.message ?? "the supervisor closed it"}; ${finding}`)
          : undefined;
      },
    });
  }

  /** Greets and asks in one go: the supervisor answers in order. */
  async #joined(attachment: SupervisedAttachment, verb: "attach" | "exec", ask: object): Promise<unknown> {
    const greeted = this.link.hello(attachment.channel);
    const answered = attachment.channel.request(verb, ask);
    try {
      await Promise.all([greeted, answered]);
      return await answered;
    } catch (thrown) {
      attachment.close();
      throw await this.#explain(thrown, verb);
    }
  }

  #order<V extends SupervisorVerb>(verb: V, ask: SupervisorAsk<V>): Promise<void> {
    return this.#ask(verb, ask).then(() => undefined);
  }

  async #ask<V extends SupervisorVerb>(verb: V, ask: SupervisorAsk<V>): Promise<SupervisorOk<V>> {
    this.#refuseEnded();
    try {
      return (await this.link.request(verb, ask)) as SupervisorOk<V>;
    } catch (thrown) {
      throw await this.#explain(thrown, verb);
    }
  }

  /** A dead connection is not a slow command: says what became of the sandbox. */
  async #explain(thrown: unknown, verb: SupervisorVerb): Promise<Failure> {
    const failure = toFailure(thrown);
    const { workload, identity } = this.#options;
    if (failure.code !== "CONNECTION_LOST") {
      return new Failure(failure.code, failure.message, {
        workload,
        boundary: identity.kind,
        ...(failure.remedy === undefined ? {} : { remedy: failure.remedy }),
        cause: failure,
      });
    }
    const finding = await this.link.examine();
    return this.#failure("CONNECTION_LOST", `The supervisor went away before it answered ${verb}: ${finding}`, failure);
  }

  #refuseEnded(): void {
    if (this.#endReason !== undefined) throw this.#failure("WRONG_STATE", `The workload has ended (exit code ${this.#endReason.status.code})`);
  }

  #failure(code: "CANCELLED" | "CONNECTION_LOST" | "UNSUPPORTED" | "WRONG_STATE", what: string, cause?: Failure): Failure {
    return new Failure(code, what, { workload: this.#options.workload, boundary: this.#options.identity.kind, ...(cause === undefined ? {} : { cause }) });
  }

  #greeted(hello: SupervisorOk<"hello">): void {
    const main = this.processes.get(0);
    main.terminal = hello.terminal;
    if (hello.mainPid !== null) main.hostPid = hello.mainPid;
    for (const known of hello.processes) {
      const entry = this.processes.get(known.process);
      entry.hostPid = known.hostPid ?? undefined;
      entry.name = known.name ?? undefined;
      entry.terminal = true; // not told here: the supervisor refuses where there is none
      if (known.status !== null) this.processes.settle(known.process, parseExitStatus(known.status));
    }
  }

  #event(message: Record<string, unknown>): void {
    const number = message["process"];
    if (message["event"] === "exited" && typeof number === "number") this.processes.settle(number, parseExitStatus(message["status"]));
    if (message["event"] === "client-dropped")
      this.#options.log.warn(
        { workload: this.#options.workload, queuedBytes: message["queuedBytes"] },
        "a connection to the supervisor that read nothing was closed",
      );
    if (message["event"] === "started" && typeof message["hostPid"] === "number") this.processes.get(0).hostPid = message["hostPid"];
  }

  #end(reason: EndReason): void {
    this.#endReason = reason;
    this.processes.settleAll(reason.status);
    this.#ended.resolve(reason);
  }
}
