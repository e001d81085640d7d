/**
 * Bridges on the host, as far as this daemon has asked for them. The first member of a bridge waits until it stands; afterwards nobody waits,
 * but while members come the question is repeated every ten seconds, because other programs flush firewalls.
 */

import type { Call } from "../contract/call.ts";
import { toFailure } from "../contract/failure.ts";
import type { LauncherAsk, LauncherOk } from "../contract/launcher-protocol.ts";

/** The part of the launcher that networks need. */
export interface BridgeLauncher {
  request(verb: "bridgeEnsure", ask: LauncherAsk<"bridgeEnsure">): Promise<LauncherOk<"bridgeEnsure">>;
}

const FRESH_MS = 10_000;

interface Standing {
  readonly made: Promise<unknown>;
  askedAt: number;
}

export class Bridges {
  readonly #launcher: BridgeLauncher;
  readonly #now: () => number;
  readonly #standing = new Map<string, Standing>();

  constructor(launcher: BridgeLauncher, now: () => number) {
    this.#launcher = launcher;
    this.#now = now;
  }

  /** Resolves when the bridge stands as far as is known. A failure is told once: the next one to ask tries anew. */
  async ensure(ask: LauncherAsk<"bridgeEnsure">, call: Call): Promise<void> {
    const known = this.#standing.get(ask.bridge);
    if (known === undefined) {
      await this.#make(ask);
      return;
    }
    if (this.#now() - known.askedAt > FRESH_MS) {
      known.askedAt = this.#now();
      this.#launcher.request("bridgeEnsure", ask).catch((thrown: unknown) => {
        this.#standing.delete(ask.bridge);
        call.log.warn({ bridge: ask.bridge, failure: toFailure(thrown) }, "a bridge could not be checked");
      });
    }
    await known.made;
  }

  #make(ask: LauncherAsk<"bridgeEnsure">): Promise<unknown> {
    const made = this.#launcher.request("bridgeEnsure", ask);
    const standing: Standing = { made, askedAt: this.#now() };
    this.#standing.set(ask.bridge, standing);
    made.catch(() => {
      if (this.#standing.get(ask.bridge) === standing) this.#standing.delete(ask.bridge);
    });
    return made;
  }
}
