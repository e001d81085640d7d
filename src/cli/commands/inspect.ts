import { Failure, type Client } from "../../../sdk/src/index.ts";
import type { Command, Invocation } from "../command.ts";
import { compileTemplate } from "../format/template.ts";
import { printLine } from "../output.ts";
import { reportFailure } from "../report.ts";

/** In the order in which a bare `inspect` looks; the first is Docker's name for a workload. */
const FINDERS = {
  container: (client: Client, name: string, size: boolean): Promise<unknown> => client.workloads.inspect(name, { size }),
  image: (client: Client, name: string): Promise<unknown> => client.images.inspect(name),
  volume: (client: Client, name: string): Promise<unknown> => client.volumes.inspect(name),
  network: (client: Client, name: string): Promise<unknown> => client.networks.inspect(name),
} as const;

const KINDS = Object.keys(FINDERS) as Kind[];

type Kind = keyof typeof FINDERS;

const COMPLETES = { container: "workloads", image: "images", volume: "volumes", network: "networks" } as const;

const FORMAT = [
  { name: "format", short: "f", kind: "text", value: "template", help: "json, or a Go template" },
  { name: "json", kind: "flag", help: "As --format json" },
] as const;

/** `inspect` of anything; `image inspect` and its like know the kind beforehand. */
export function inspectCommand(kind: Kind | undefined): Command {
  return {
    usage: "[OPTIONS] NAME [NAME...]",
    description:
      kind === undefined ? "Everything that is known of workloads, images, volumes and networks." : `Everything that is known of one kind: ${COMPLETES[kind]}.`,
    options: [
      ...FORMAT,
      { name: "size", short: "s", kind: "flag", help: "With sizes on disk" },
      ...(kind === undefined ? [{ name: "type", kind: "text" as const, value: "kind", help: "Only this kind", choices: KINDS }] : []),
    ],
    examples: kind === undefined ? [{ command: "bulkhead inspect -f '{{.Boundary.kind}} {{.State.Status}}' web", says: "two facts about one workload" }] : [],
    least: 1,
    completes: COMPLETES[kind ?? "container"],
    run: (invocation) => inspect(invocation, kind ?? (invocation.flags.text("type") as Kind | undefined)),
  };
}

async function inspect({ flags, args, client, verb }: Invocation, kind: Kind | undefined): Promise<number> {
  const format = flags.on("json") ? "json" : flags.text("format");
  const render = format === undefined || format === "json" ? undefined : compileTemplate(format);
  const found: unknown[] = [];
  let code = 0;
  for (const name of args) {
    try {
      const document = await find(client, name, kind, flags.on("size"));
      if (render === undefined) found.push(document);
      else printLine(render(document));
    } catch (thrown) {
      reportFailure(thrown, verb);
      code = 1;
    }
  }
  if (render === undefined) printLine(format === "json" ? JSON.stringify(found) : JSON.stringify(found, undefined, 4));
  return code;
}

async function find(client: Client, name: string, kind: Kind | undefined, size: boolean): Promise<unknown> {
  for (const one of kind === undefined ? KINDS : [kind]) {
    try {
      return await FINDERS[one](client, name, size);
    } catch (thrown) {
      if (kind !== undefined || !(thrown instanceof Failure) || thrown.code !== "NOT_FOUND") throw thrown;
    }
  }
  throw new Failure("NOT_FOUND", `there is no workload, image, volume or network ${JSON.stringify(name)}`, {
    remedy: "see `bulkhead ps -a` and `bulkhead images`",
  });
}

export const command = inspectCommand(undefined);
export const containerInspect = inspectCommand("container");
export const imageInspect = inspectCommand("image");
export const volumeInspect = inspectCommand("volume");
export const networkInspect = inspectCommand("network");
