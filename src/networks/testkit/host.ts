/** A host made of texts, and a launcher that notes what it is asked. */

import { Failure } from "../../contract/failure.ts";
import type { LauncherAsk } from "../../contract/launcher-protocol.ts";
import type { Collection } from "../../state/index.ts";
import type { BridgeLauncher } from "../bridges.ts";

export const ROUTES_HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";

const hex = (octets: readonly number[]) =>
  octets
    .toReversed()
    .map((octet) => octet.toString(16).toUpperCase().padStart(2, "0"))
    .join("");

/** A row of /proc/net/route: addresses are little-endian. */
export function route(device: string, range: string): string {
  const [address = "", length = ""] = range.split("/");
  const mask = [0, 8, 16, 24].map((bits) => 256 - 2 ** (8 - Math.min(8, Math.max(0, Number(length) - bits))));
  return [device, hex(address.split(".").map(Number)), "00000000", "0001", "0", "0", "0", hex(mask), "0", "0", "0"].join("\t");
}

export function memoryCollection<T>(): Collection<T> {
  const documents = new Map<string, T>();
  return {
    get: (key) => documents.get(key),
    put: (key, document) => void documents.set(key, structuredClone(document)),
    delete: (key) => void documents.delete(key),
    all: () => documents.entries(),
  };
}

export interface NotedLauncher extends BridgeLauncher {
  readonly asked: LauncherAsk<"bridgeEnsure">[];
  failing: boolean;
}

export function notedLauncher(): NotedLauncher {
  const launcher: NotedLauncher = {
    asked: [],
    failing: false,
    request: async (_verb, ask) => {
      launcher.asked.push(ask);
      if (launcher.failing) throw new Failure("UNAVAILABLE", "nft is missing");
      return {};
    },
  };
  return launcher;
}
