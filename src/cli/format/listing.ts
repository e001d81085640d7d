/** Lists for people and for programs: a table, one JSON document a line, or a template of the user's. */

import { UsageError, type OptionDefinition } from "../command.ts";
import { clean, print, printLine } from "../output.ts";
import { layOut } from "./table.ts";
import { show } from "./template-functions.ts";
import { compileTemplate } from "./template.ts";

/** A row as templates see it: Docker's field names. Functions are methods such as `.Label "x"` and do not go into JSON. */
export type Row = Readonly<Record<string, unknown>>;

export interface Listing {
  /** Headings by field, as `table` shows them. */
  readonly headings: Readonly<Record<string, string>>;
  /** Fields of the default table, in order. */
  readonly columns: readonly string[];
}

export const FORMAT_OPTIONS: readonly OptionDefinition[] = [
  { name: "format", kind: "text", value: "template", help: "table, table TEMPLATE, json, or a Go template" },
  { name: "json", kind: "flag", help: "One JSON document a line, as --format json" },
];

/** Prints rows as `format` says; undefined and `table` are the default table. */
export function printListing(rows: readonly Row[], listing: Listing, format: string | undefined): void {
  const text = showListing(rows, listing, format);
  if (text !== "") print(text);
}

export function showListing(rows: readonly Row[], listing: Listing, format: string | undefined): string {
  if (format === "json") return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  if (format === undefined || format === "table") {
    const cells = rows.map((row) => listing.columns.map((column) => clean(show(row[column] ?? ""))));
    return `${layOut([listing.columns.map((column) => listing.headings[column] ?? column.toUpperCase()), ...cells])}\n`;
  }
  const isTable = /^table\s/.test(format);
  const render = compileTemplate(isTable ? format.replace(/^table\s+/, "") : format);
  if (!isTable) return rows.map((row) => `${render(row)}\n`).join("");
  const headings = { ...listing.headings, Label: (name: unknown) => String(name) };
  return `${layOut([headings, ...rows].map((row) => render(row).split("\t")))}\n`;
}

export function formatOf(flags: { on(name: string): boolean; text(name: string): string | undefined }): string | undefined {
  if (flags.on("json") && flags.text("format") !== undefined) throw new UsageError("--json and --format cannot both be given");
  return flags.on("json") ? "json" : flags.text("format");
}

/** For documents that are not lists: `json` and templates as everywhere, else indented JSON. */
export function printDocument(document: unknown, format: string | undefined): void {
  if (format === undefined) printLine(JSON.stringify(document, undefined, 4));
  else if (format === "json") printLine(JSON.stringify(document));
  else printLine(compileTemplate(format)(document));
}
