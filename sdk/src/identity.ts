/** Whether a server is Bulkhead: asked once, before anything is destroyed. */

import type { VersionDocument } from "./documents.ts";
import { Failure } from "./failure.ts";
import type { Transport } from "./transport.ts";

/**
 * Refuses a server that is not Bulkhead. A client that was pointed at another daemon's socket can list and look, but
 * cannot stop, kill or delete there: ids and names look alike, and the mistake cannot be undone.
 */
export class ServerIdentity {
  private readonly transport: Transport;
  private known: Promise<boolean> | undefined;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Resolves where the server is Bulkhead; rejects DENIED_BY_POLICY naming what was to be done. */
  async require(deed: string, signal?: AbortSignal): Promise<void> {
    this.known ??= this.ask(signal).catch((thrown: unknown) => {
      this.known = undefined;
      throw thrown;
    });
    if (await this.known) return;
    throw new Failure("DENIED_BY_POLICY", `the server at unix://${this.transport.socketPath} is not Bulkhead, so it will not be asked to ${deed}`, {
      remedy: "set BULKHEAD_HOST to Bulkhead's socket, or use that server's own client",
    });
  }

  private async ask(signal: AbortSignal | undefined): Promise<boolean> {
    const answer = await this.transport.send({ method: "HEAD", path: "/_ping", signal });
    answer.resume();
    if (String(answer.headers.server ?? "").startsWith("Bulkhead/")) return true;
    try {
      const version = await this.transport.json<VersionDocument>({ method: "GET", path: "/version", signal });
      return version.Platform?.Name === "Bulkhead";
    } catch (thrown) {
      // A server that has no version is somebody's, and not ours. One that does not answer at all may be.
      if (thrown instanceof Failure && thrown.code === "NOT_FOUND") return false;
      throw thrown;
    }
  }
}
