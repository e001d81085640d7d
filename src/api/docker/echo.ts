/**
 * The adapter's own memory of what a client asked for, kept with the workload and given back by inspect: clients compare
 * what they read with what they sent. Only what says something is kept, because every create writes it.
 */

export interface Echo {
  readonly docker: Readonly<Record<string, unknown>>;
}

/** Without nulls, empty strings, zeros, false, empty lists and empty objects: the values that mean "not said" in Docker's API. */
export function compact(value: object): Readonly<Record<string, unknown>> {
  const kept: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    const small = isPlain(field) && !VERBATIM.has(name) ? compact(field) : field;
    if (small === null || small === undefined || small === "" || small === 0 || small === false) continue;
    if (typeof small === "object" && Object.keys(small).length === 0 && !KEPT_EMPTY.has(name)) continue;
    kept[name] = small;
  }
  return kept;
}

/** Maps whose keys are the message, whatever their values. */
const VERBATIM = new Set(["ExposedPorts", "Volumes", "Tmpfs", "PortBindings", "Labels"]);

/** An empty list of these is a wish of its own: nothing masked, nothing read-only. */
const KEPT_EMPTY = new Set(["MaskedPaths", "ReadonlyPaths"]);

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function echoOf(adapter: unknown): Readonly<Record<string, unknown>> {
  if (!isPlain(adapter)) return {};
  const { docker } = adapter as Partial<Echo>;
  return isPlain(docker) ? docker : {};
}

/** A nested part of the echo, `HostConfig` for one; empty where nothing was said. */
export function echoPart(adapter: unknown, name: string): Readonly<Record<string, unknown>> {
  const part = echoOf(adapter)[name];
  return isPlain(part) ? (part as Readonly<Record<string, unknown>>) : {};
}
