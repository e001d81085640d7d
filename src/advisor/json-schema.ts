/** Checks a value against the part of JSON Schema (2020-12) that the requirements use, and says where and what is allowed. */

export interface JsonSchema {
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean";
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean;
  readonly items?: JsonSchema;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly [annotation: string]: unknown;
}

/** One sentence for each fault, the path first; empty where the value fits. */
export function mismatches(value: unknown, schema: JsonSchema, path = ""): string[] {
  const at = path === "" ? "the document" : path;
  if (schema.enum !== undefined) {
    if (schema.enum.includes(value)) return [];
    return [`${at} must be one of ${schema.enum.map(String).join(", ")}, not ${show(value)}`];
  }
  switch (schema.type) {
    case "object":
      return isRecord(value) ? inObject(value, schema, path) : [`${at} must be an object, not ${show(value)}`];
    case "array":
      if (!Array.isArray(value)) return [`${at} must be a list, not ${show(value)}`];
      return value.flatMap((item, index) => mismatches(item, schema.items ?? {}, `${path}[${index}]`));
    case "number":
    case "integer":
      return numberFaults(value, schema, at);
    case "string":
    case "boolean":
      return typeof value === schema.type ? [] : [`${at} must be a ${schema.type}, not ${show(value)}`];
    case undefined:
    default:
      return []; // an annotation alone constrains nothing
  }
}

function inObject(value: Readonly<Record<string, unknown>>, schema: JsonSchema, path: string): string[] {
  const known = schema.properties ?? {};
  return Object.entries(value).flatMap(([name, item]) => {
    const place = path === "" ? name : `${path}.${name}`;
    const inner = Object.hasOwn(known, name) ? known[name] : undefined;
    if (inner !== undefined) return mismatches(item, inner, place);
    return schema.additionalProperties === false ? [`${place} is not known here; known are ${Object.keys(known).join(", ")}`] : [];
  });
}

function numberFaults(value: unknown, schema: JsonSchema, at: string): string[] {
  if (typeof value !== "number" || !Number.isFinite(value)) return [`${at} must be a number, not ${show(value)}`];
  if (schema.type === "integer" && !Number.isInteger(value)) return [`${at} must be a whole number, not ${value}`];
  if (schema.minimum !== undefined && value < schema.minimum) return [`${at} must be at least ${schema.minimum}, not ${value}`];
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) return [`${at} must be more than ${schema.exclusiveMinimum}, not ${value}`];
  return [];
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 60);
}
