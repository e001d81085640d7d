/** Reading documents of which nothing is promised: what is not as it should be reads as absent. */

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

export function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(textOf).filter((text) => text !== "") : typeof value === "string" ? [value] : [];
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** `NAME=value` lists and maps are the same thing written twice. */
export function pairsOf(value: unknown): Readonly<Record<string, string>> {
  if (isFields(value)) return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, textOf(one)]));
  return Object.fromEntries(textsOf(value).map((text) => [text.split("=", 1)[0] ?? "", text.includes("=") ? text.slice(text.indexOf("=") + 1) : ""]));
}

const ACCEPT = "dev.bulkhead.audit.accept.";

/** Labels `dev.bulkhead.audit.accept.BH021: reason`. One without a reason accepts nothing. */
export function acceptedIn(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(labels).filter(([name, reason]) => name.startsWith(ACCEPT) && reason.trim() !== "");
  return Object.fromEntries(entries.map(([name, reason]) => [name.slice(ACCEPT.length).toUpperCase(), reason]));
}

/** `seccomp=unconfined`, `no-new-privileges:true` and `no-new-privileges` alike. */
export function securityOptionsOf(options: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    options.map((option) => {
      const [, name = option, value = "true"] = /^([A-Za-z-]+)[=:]([\s\S]*)$/.exec(option) ?? [];
      return [name, value.startsWith("{") ? "custom" : value === "1" ? "true" : value];
    }),
  );
}
