import type { EventDocument } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { FILTER_OPTION, parseFilters } from "../filters.ts";
import { FORMAT_OPTIONS, formatOf } from "../format/listing.ts";
import { parseMoment } from "../format/quantity.ts";
import { compileTemplate } from "../format/template.ts";
import { clean, printLine } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  description: "What happens, as it happens.",
  options: [
    FILTER_OPTION,
    ...FORMAT_OPTIONS,
    { name: "since", kind: "text", value: "time", help: "From then on: a time, or a duration back from now" },
    { name: "until", kind: "text", value: "time", help: "Up to then, then end" },
  ],
  examples: [{ command: "bulkhead events --since 10m --until 0s --json", says: "what happened in the last ten minutes" }],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const moment = (name: string): string | undefined => (flags.given(name) ? parseMoment(flags.text(name) ?? "", `--${name}`, Date.now()) : undefined);
    const format = formatOf(flags);
    const render = format === undefined || format === "json" ? undefined : compileTemplate(format);
    for await (const event of client.system.events({ since: moment("since"), until: moment("until"), filters: parseFilters(flags.list("filter")) })) {
      if (format === "json") printLine(JSON.stringify(event));
      else printLine(render === undefined ? showEvent(event) : render({ ...event, ID: event.Actor.ID, TimeNano: event.timeNano, Time: event.time }));
    }
    return 0;
  },
};

export function showEvent(event: EventDocument): string {
  const nanoseconds = String(BigInt(Math.round(event.timeNano / 1000)) * 1000n).slice(-9);
  const at = new Date(event.time * 1000).toISOString().replace(".000Z", `.${nanoseconds}Z`);
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
  return clean(`${at} ${event.Type} ${event.Action} ${event.Actor.ID}${attributes === "" ? "" : ` (${attributes})`}`);
}
