/** Fields in the depth of a body that its shape does not name: nobody reads them, so that somebody must say so. */

import type { TSchema } from "@sinclair/typebox";
import { compact } from "./echo.ts";

/** Paths such as `HostConfig.Mounts.0.Shadow` below `levels` objects, where they say something. */
export function findUnknown(schema: TSchema, value: unknown, levels: number, place = ""): readonly string[] {
  const known = withoutNull(schema);
  const below = (name: string) => (place === "" ? name : `${place}.${name}`);
  if (Array.isArray(value)) {
    const items = known["items"] as TSchema | undefined;
    return items === undefined ? [] : value.flatMap((item, at) => findUnknown(items, item, levels, below(String(at))));
  }
  const properties = known["properties"] as Readonly<Record<string, TSchema>> | undefined;
  const patterns = known["patternProperties"] as Readonly<Record<string, TSchema>> | undefined;
  if (typeof value !== "object" || value === null || (properties === undefined && patterns === undefined)) return [];
  const [anyName] = Object.values(patterns ?? {});
  return Object.entries(value).flatMap(([name, part]) => {
    const next = properties === undefined ? anyName : Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (next !== undefined) return findUnknown(next, part, levels - 1, below(name));
    return levels <= 0 && Object.keys(compact({ [name]: part })).length > 0 ? [below(name)] : [];
  });
}

/** `Optional(Union([schema, Null]))` is the schema. */
function withoutNull(schema: TSchema): TSchema {
  const choices = schema["anyOf"] as readonly TSchema[] | undefined;
  return choices?.find((choice) => choice["type"] !== "null") ?? schema;
}
