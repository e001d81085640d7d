/**
 * Routes: each resource lists its own, the router only finds. A path is written as in Docker's reference,
 * `/containers/{id}/json`; a parameter that may hold slashes (names of images) is written `{name...}`.
 */

import findMyWay from "find-my-way";
import type { Exchange } from "./exchange.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";

export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly handle: (exchange: Exchange) => Promise<void> | void;
  /**
   * Who asks the policy. `server` (the default) before the handler runs; `handler` where only the handler knows the whole
   * spec; `nobody` for answers that tell and touch nothing.
   */
  readonly authorizedBy?: "server" | "handler" | "nobody";
  /** The work goes on when its client leaves: true for single deeds, false (the default) for everything that streams or waits. */
  readonly outlivesClient?: boolean;
}

export interface Found {
  readonly route: Route;
  readonly parameters: Readonly<Record<string, string>>;
}

interface Tail {
  readonly parameter: string;
  readonly suffix: string;
  readonly route: Route;
}

export class Router {
  readonly #ways = findMyWay({ ignoreTrailingSlash: false, maxParamLength: 4096 });

  constructor(routes: readonly Route[]) {
    const tails = new Map<string, Tail[]>();
    for (const route of routes) {
      const wide = /^(.*)\{(\w+)\.\.\.\}(.*)$/.exec(route.path);
      if (!wide) {
        this.#ways.on(route.method, route.path.replaceAll(/\{(\w+)\}/g, ":$1"), () => undefined, { route });
        continue;
      }
      const [, prefix = "", parameter = "", suffix = ""] = wide;
      const key = `${route.method} ${prefix}`;
      const known = tails.get(key) ?? [];
      if (known.length === 0) {
        this.#ways.on(route.method, `${prefix}*`, () => undefined, { tails: known });
        tails.set(key, known);
      }
      known.push({ parameter, suffix, route });
      // The longest suffix first: `/images/a/b/json` is not the image `a/b/json`.
      known.sort((a, b) => b.suffix.length - a.suffix.length);
    }
  }

  find(method: string | undefined, path: string): Found | undefined {
    const hit = this.#ways.find(method as Method, path);
    if (hit === null) return undefined;
    const store = hit.store as { route?: Route; tails?: readonly Tail[] };
    const parameters = hit.params as Record<string, string>;
    if (store.route !== undefined) return { route: store.route, parameters };
    const rest = parameters["*"] ?? "";
    const tail = store.tails?.find(({ suffix }) => rest.length > suffix.length && rest.endsWith(suffix));
    if (tail === undefined) return undefined;
    return { route: tail.route, parameters: { [tail.parameter]: rest.slice(0, rest.length - tail.suffix.length) } };
  }
}
