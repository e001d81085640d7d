import type { ImageSummary } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { FILTER_OPTION, parseFilters } from "../filters.ts";
import { FORMAT_OPTIONS, formatOf, printListing, type Row } from "../format/listing.ts";
import { showAge, showBytes, showInstant } from "../format/quantity.ts";
import { print } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  description: "List images.",
  options: [
    { name: "all", short: "a", kind: "flag", help: "Also those without a tag that others stand on" },
    { name: "digests", kind: "flag", help: "Show digests" },
    FILTER_OPTION,
    ...FORMAT_OPTIONS,
    { name: "no-trunc", kind: "flag", help: "Nothing cut" },
    { name: "quiet", short: "q", kind: "flag", help: "Only ids" },
  ],
  examples: [{ command: "bulkhead images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", says: "names and sizes" }],
  least: 0,
  most: 1,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const filters = { ...parseFilters(flags.list("filter")), ...(args[0] === undefined ? {} : { reference: [args[0]] }) };
    const found = await client.images.list({ all: flags.on("all"), filters, digests: flags.on("digests") });
    const format = formatOf(flags);
    const rows = found.flatMap((image) => imageRows(image, flags.on("no-trunc"), flags.on("digests"), Date.now()));
    if (flags.on("quiet") && format === undefined) {
      print([...new Set(rows.map((row) => `${String(row["ID"])}\n`))].join(""));
      return 0;
    }
    const columns = ["Repository", "Tag", ...(flags.on("digests") ? ["Digest"] : []), "ID", "CreatedSince", "Size"];
    printListing(rows, { headings: HEADINGS, columns }, format);
    return 0;
  },
};

const HEADINGS = {
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  ID: "IMAGE ID",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  Containers: "CONTAINERS",
};

/** One row for each tag, or for each digest where there are no tags; `<none>` where there is neither. */
export function imageRows(image: ImageSummary, whole: boolean, digests: boolean, nowMs: number): Row[] {
  const pairs: { repository: string; tag: string; digest: string }[] = [];
  const digestOf = (repository: string): string => (image.RepoDigests ?? []).find((one) => one.startsWith(`${repository}@`))?.split("@")[1] ?? "<none>";
  for (const tagged of image.RepoTags ?? []) {
    const colon = tagged.lastIndexOf(":");
    const repository = tagged.slice(0, colon);
    if (tagged !== "<none>:<none>") pairs.push({ repository, tag: tagged.slice(colon + 1), digest: digestOf(repository) });
  }
  if (pairs.length === 0) {
    const [repository, digest] = (image.RepoDigests?.[0] ?? "<none>@<none>").split("@");
    pairs.push({ repository: repository ?? "<none>", tag: "<none>", digest: digest ?? "<none>" });
  }
  const id = whole ? image.Id : image.Id.replace(/^sha256:/, "").slice(0, 12);
  return pairs.map(({ repository, tag, digest }) => ({
    Containers: String(image.Containers === undefined || image.Containers < 0 ? "N/A" : image.Containers),
    CreatedAt: showInstant(image.Created, (instant) => `${instant.replace("T", " ").replace("Z", "")} +0000 UTC`),
    CreatedSince: showAge(image.Created, nowMs),
    Digest: digests || whole ? digest : "<none>",
    ID: id,
    Repository: repository,
    Size: showBytes(image.Size),
    Tag: tag,
  }));
}
