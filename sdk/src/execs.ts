/** Further processes in a running workload. */

import { attachedOf, type Attached } from "./attached.ts";
import type { DebugRequest, ExecDocument, ExecRequest } from "./documents.ts";
import { Failure } from "./failure.ts";
import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export class Execs {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  async create(reference: string, request: ExecRequest, options: Cancellable = {}): Promise<string> {
    const path = `/containers/${encodeURIComponent(reference)}/exec`;
    const made = await this.transport.json<{ Id: string }>({ method: "POST", path, body: request, signal: options.signal });
    return made.Id;
  }

  /**
   * A debug session: the same with another image's files for its root. The workload's own are at `/proc/1/root`. It ends with its command, with this
   * connection and with the workload, and leaves nothing.
   */
  async debug(reference: string, request: DebugRequest, options: Cancellable = {}): Promise<string> {
    const path = `/bulkhead/v1/workloads/${encodeURIComponent(reference)}/debug`;
    const made = await this.transport.json<{ Id: string }>({ method: "POST", path, body: request, signal: options.signal });
    return made.Id;
  }

  /** Starts it and joins its stdio. */
  async start(
    id: string,
    options: { readonly terminal: boolean; readonly terminalSize?: { readonly rows: number; readonly columns: number } | undefined } & Cancellable,
  ): Promise<Attached> {
    const size = options.terminalSize;
    const body = { Detach: false, Tty: options.terminal, ...(size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] }) };
    const hijacked = await this.transport.hijack({ method: "POST", path: `/exec/${id}/start`, body, signal: options.signal });
    return attachedOf(hijacked, options.terminal);
  }

  async startDetached(id: string, options: { readonly terminal: boolean } & Cancellable): Promise<void> {
    const body = { Detach: true, Tty: options.terminal };
    await this.transport.change({ method: "POST", path: `/exec/${id}/start`, body, signal: options.signal });
  }

  inspect(id: string, options: Cancellable = {}): Promise<ExecDocument> {
    return this.transport.json({ method: "GET", path: `/exec/${id}/json`, signal: options.signal });
  }

  async resizeTerminal(id: string, size: { readonly rows: number; readonly columns: number }, options: Cancellable = {}): Promise<void> {
    await this.transport.change({ method: "POST", path: `/exec/${id}/resize`, query: { h: size.rows, w: size.columns }, signal: options.signal });
  }

  /** `SIGKILL` and the like, to the exec's own process. False where it had ended already. */
  async signal(id: string, signal: string, options: Cancellable = {}): Promise<boolean> {
    const path = `/bulkhead/v1/execs/${encodeURIComponent(id)}/signal`;
    return (await this.transport.json<{ delivered: boolean }>({ method: "POST", path, body: { Signal: signal }, signal: options.signal })).delivered;
  }

  /**
   * The exit code, once the output has ended. An output that ended while the process still runs means that the channel
   * died, not the command: CONNECTION_LOST says what was checked, and nobody waits for ever.
   */
  async exitCode(id: string, options: Cancellable = {}): Promise<number> {
    const exec = await this.inspect(id, options);
    if (!exec.Running && exec.ExitCode !== null) return exec.ExitCode;
    throw new Failure("CONNECTION_LOST", "the connection to the command's output ended, and the daemon says that the command still runs", {
      remedy: "the command goes on inside the workload: look at it with `bulkhead top`, or end it there",
    });
  }
}
