/** `GET /events`: the engine's events in Docker's words, one JSON object a line. */

import type { EngineEvent } from "../../engine/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { untilAborted } from "../until-aborted.ts";
import { translateEvent, type DockerEvent } from "./event-words.ts";
import { Filters } from "./filters.ts";
import type { DockerParts } from "./parts.ts";
import { present } from "./present.ts";

const FILTERS = ["config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret", "service", "type", "volume"];

export function eventRoutes(parts: DockerParts): readonly Route[] {
  return [{ method: "GET", path: "/events", handle: (exchange) => events(parts, exchange) }];
}

/** What is remembered comes at once; when `until` lies in the past, this long is waited for it. */
const REMEMBERED_PATIENCE_MS = 20;

async function events(parts: DockerParts, exchange: Exchange): Promise<void> {
  const { query, call } = exchange;
  const filters = new Filters(query.text("filters"), FILTERS);
  const sinceNs = query.instant("since");
  const untilNs = query.instant("until");
  const source = parts.engine.events(present({ sinceNs }), call);
  exchange.begin(200, "application/json");
  const patience = untilNs === undefined ? undefined : Math.max(REMEMBERED_PATIENCE_MS, Number(untilNs / 1_000_000n) - parts.now());
  // A timer cannot be longer than 24 days; nobody waits for that.
  const timer = patience === undefined ? undefined : setTimeout(() => exchange.abort(), Math.min(patience, 2 ** 31 - 1));
  try {
    for await (const event of untilAborted(source, call.signal)) {
      if (untilNs !== undefined && event.atNs > untilNs) break;
      const translated = translateEvent(event);
      if (passes(translated, filters)) await exchange.write(eventLine(translated, event));
    }
  } catch (thrown) {
    if (!call.signal.aborted) throw thrown;
  } finally {
    clearTimeout(timer);
  }
  exchange.response.end();
}

/** Types that had fields of their own before `Actor` came; old clients read them still. */
const WITH_STATUS = new Set(["container", "image"]);

/** Nanoseconds do not fit into a JavaScript number: they are written as they are. */
export function eventLine(translated: DockerEvent, event: EngineEvent): string {
  const { type, action, id, attributes } = translated;
  const old = WITH_STATUS.has(type) ? { status: action, id, ...(attributes.image === undefined ? {} : { from: attributes.image }) } : {};
  const document = { ...old, Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, scope: "local", time: Number(event.atNs / 1_000_000_000n) };
  return `${JSON.stringify(document).slice(0, -1)},"timeNano":${event.atNs}}\n`;
}

function passes({ type, action, id, attributes }: DockerEvent, filters: Filters): boolean {
  const about = (wantedType: string) =>
    filters.any(wantedType, (value) => type === wantedType && (id === value || attributes.name === value || (value.length >= 4 && id.startsWith(value))));
  const aboutImage = filters.any("image", (value) => {
    const name = type === "image" ? id : (attributes.image ?? "");
    return name === value || name === `${value}:latest` || `${name}:latest` === value;
  });
  return (
    filters.any("type", (value) => value === type) &&
    // `exec_start` also means `exec_start: ls`, `health_status` also `health_status: healthy`.
    filters.any("event", (value) => value === action || action.startsWith(`${value}:`)) &&
    filters.any("scope", (value) => value === "local") &&
    about("container") &&
    about("network") &&
    about("volume") &&
    about("daemon") &&
    aboutImage &&
    !["config", "node", "plugin", "secret", "service"].some((name) => filters.has(name)) &&
    filters.labels(attributes)
  );
}
