/** Images on their way in and out: pull, push, load, save, import. */

import { Failure, toFailure } from "../../contract/failure.ts";
import type { ImageView } from "../../images/index.ts";
import { withArchive } from "../archive-body.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { errorBody } from "../status.ts";
import { announce, type DockerParts } from "./parts.ts";
import { present } from "./present.ts";
import { ProgressLines } from "./progress.ts";
import { readCredentials } from "./registry-auth.ts";

export function imageTransferRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/images/create",
      handle: (exchange) => (exchange.query.text("fromSrc") === undefined ? pull(parts, exchange) : importImage(parts, exchange)),
    },
    { method: "POST", path: "/images/{name...}/push", handle: (exchange) => push(parts, exchange) },
    { method: "POST", path: "/images/load", handle: (exchange) => load(parts, exchange) },
    { method: "GET", path: "/images/get", handle: (exchange) => save(parts, exchange, exchange.query.all("names")) },
    { method: "GET", path: "/images/{name...}/get", handle: (exchange) => save(parts, exchange, [exchange.parameter("name")]) },
  ];
}

async function pull(parts: DockerParts, exchange: Exchange): Promise<void> {
  const { query } = exchange;
  const name = query.text("fromImage");
  if (name === undefined) throw new Failure("INVALID_SPEC", "no image was named: fromImage is empty");
  const reference = withTag(name, query.text("tag"));
  const lines = new ProgressLines(exchange);
  try {
    const options = present({ platform: query.text("platform"), credentials: readCredentials(exchange.request.headers["x-registry-auth"]) });
    const view = await parts.images.pull(reference, { ...options, progress: (step) => lines.step(step) }, exchange.call);
    announce(parts, "image", "pulled", view.tags[0] ?? reference);
    lines.end();
  } catch (thrown) {
    const failure = toFailure(thrown);
    if (lines.begun) lines.fail(failure);
    // At a 401 the stock client asks for a user name, and waits for one for ever where nobody is there to type.
    else if (failure.code === "UNAUTHENTICATED") exchange.json(403, errorBody(failure));
    else throw failure;
  }
}

/** `name`, `name:tag` and `name@sha256:…` from the two halves that clients send; some send both in the first. */
export function withTag(name: string, tag: string | undefined): string {
  if (tag === undefined) return name;
  return tag.startsWith("sha256:") ? `${name}@${tag}` : `${name}:${tag}`;
}

/** Docker answers 200 even for a tag that does not exist, and says so in the stream. */
async function push(parts: DockerParts, exchange: Exchange): Promise<void> {
  const name = exchange.parameter("name");
  const tag = exchange.query.text("tag");
  const credentials = readCredentials(exchange.request.headers["x-registry-auth"]);
  const lines = new ProgressLines(exchange);
  try {
    lines.line({ status: `The push refers to repository [${name}]` });
    const done = await parts.images.push(withTag(name, tag), { ...present({ credentials }), progress: (step) => lines.step(step) }, exchange.call);
    announce(parts, "image", "pushed", withTag(name, tag));
    lines.line({ status: `${tag ?? "latest"}: digest: ${done.digest} size: ${done.sizeBytes}` });
    lines.line({ progressDetail: {}, aux: { Tag: tag ?? "latest", Digest: done.digest, Size: done.sizeBytes } });
    lines.end();
  } catch (thrown) {
    lines.fail(toFailure(thrown));
  }
}

async function load(parts: DockerParts, exchange: Exchange): Promise<void> {
  const quiet = exchange.query.flag("quiet");
  const lines = new ProgressLines(exchange);
  try {
    const views = await withArchive(exchange, (archive) =>
      parts.images.load(archive, { progress: (step) => (quiet ? undefined : lines.step(step)) }, exchange.call),
    );
    for (const view of views) {
      const names = view.tags.length === 0 ? [`Loaded image ID: ${view.id}`] : view.tags.map((tag) => `Loaded image: ${tag}`);
      for (const text of names) lines.line({ stream: `${text}\n` });
      announce(parts, "image", "loaded", view.tags[0] ?? view.id);
    }
    lines.end();
  } catch (thrown) {
    if (!lines.begun) throw thrown;
    lines.fail(toFailure(thrown));
  }
}

async function importImage(parts: DockerParts, exchange: Exchange): Promise<void> {
  const { query } = exchange;
  if (query.text("fromSrc") !== "-") {
    throw new Failure("UNSUPPORTED", "an archive is imported from the request's body only", { remedy: "Fetch it and pipe it: curl URL | docker import -." });
  }
  const repository = query.text("repo");
  const options = present({
    reference: repository === undefined ? undefined : withTag(repository, query.text("tag")),
    message: query.text("message"),
    platform: query.text("platform"),
    // Ours: Docker has no images of disks.
    disk: query.flag("disk") || undefined,
  });
  const changes = query.all("changes");
  const view: ImageView = await withArchive(exchange, (archive) => parts.images.import(archive, { ...options, changes }, exchange.call));
  announce(parts, "image", "imported", view.tags[0] ?? view.id);
  const lines = new ProgressLines(exchange);
  lines.line({ status: view.id });
  lines.end();
}

async function save(parts: DockerParts, exchange: Exchange, names: readonly string[]): Promise<void> {
  if (names.length === 0) throw new Failure("INVALID_SPEC", "no image was named");
  for (const name of names) parts.images.get(name);
  exchange.begin(200, "application/x-tar");
  for await (const bytes of parts.images.save(names, exchange.call)) await exchange.write(bytes);
  exchange.response.end();
}
