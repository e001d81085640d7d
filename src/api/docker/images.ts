/** `/images`: what is in the store. Moving images in and out is in image-transfer.ts. */

import { Failure } from "../../contract/failure.ts";
import type { ImageView } from "../../images/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { readAge } from "./container-lifecycle.ts";
import { Filters } from "./filters.ts";
import { withTag } from "./image-transfer.ts";
import { announce, type DockerParts } from "./parts.ts";

const FILTERS = ["dangling", "reference", "label", "label!", "before", "since", "until"];

export function imageRoutes(parts: DockerParts): readonly Route[] {
  const { images } = parts;
  const name = (exchange: Exchange) => exchange.parameter("name");
  return [
    { method: "GET", path: "/images/json", handle: (exchange) => list(parts, exchange) },
    { method: "GET", path: "/images/{name...}/json", handle: (exchange) => exchange.json(200, imageJson(images.get(name(exchange)))) },
    { method: "GET", path: "/images/{name...}/history", handle: (exchange) => exchange.json(200, historyJson(images.get(name(exchange)))) },
    {
      method: "POST",
      path: "/images/{name...}/tag",
      outlivesClient: true,
      async handle(exchange) {
        const repository = exchange.query.text("repo");
        if (repository === undefined) throw new Failure("INVALID_SPEC", "no repository was named: repo is empty");
        const target = withTag(repository, exchange.query.text("tag"));
        await images.tag(name(exchange), target);
        announce(parts, "image", "tagged", target);
        exchange.empty(201);
      },
    },
    {
      method: "DELETE",
      path: "/images/{name...}",
      outlivesClient: true,
      async handle(exchange) {
        const { query } = exchange;
        const steps = await images.remove(name(exchange), { force: query.flag("force"), prune: !query.flag("noprune") });
        for (const { untagged, deleted } of steps) {
          if (untagged !== undefined) announce(parts, "image", "untagged", untagged);
          if (deleted !== undefined) announce(parts, "image", "deleted", deleted);
        }
        exchange.json(
          200,
          steps.map(({ untagged, deleted }) => (untagged === undefined ? { Deleted: deleted } : { Untagged: untagged })),
        );
      },
    },
    { method: "POST", path: "/images/prune", outlivesClient: true, handle: (exchange) => prune(parts, exchange) },
  ];
}

function list(parts: DockerParts, exchange: Exchange): void {
  const filters = new Filters(exchange.query.text("filters"), FILTERS);
  const chosen = selectImages(parts, filters);
  exchange.json(
    200,
    chosen.map((view) => imageSummary(parts, { ...view, tags: view.tags.filter((tag) => matchesAny(filters, tag)) })),
  );
}

/** Of an image that is chosen by some of its names, those are shown. */
function matchesAny(filters: Filters, tag: string): boolean {
  return filters.any("reference", (pattern) => matchesReference(pattern, tag));
}

function selectImages(parts: DockerParts, filters: Filters): readonly ImageView[] {
  const dangling = filters.flag("dangling");
  const instant = (name: string) => filters.values(name).map((reference) => parts.images.get(reference).createdAt);
  const before = instant("before");
  const since = instant("since");
  const until = filters.values("until").map((age) => parts.now() - readAge(age, parts.now()));
  return parts.images.list().filter((view) => {
    if (dangling !== undefined && dangling !== (view.tags.length === 0)) return false;
    if (before.some((at) => view.createdAt >= at) || since.some((at) => view.createdAt <= at)) return false;
    if (until.some((at) => Date.parse(view.createdAt) > at)) return false;
    return filters.labels(view.configuration.labels) && (view.tags.some((tag) => matchesAny(filters, tag)) || filters.values("reference").length === 0);
  });
}

/** `busybox`, `busybox:1.*`, `localhost:5000/*`: a star and a question mark stop at slashes. */
function matchesReference(pattern: string, tag: string): boolean {
  const colon = tag.lastIndexOf(":");
  const repository = tag.slice(0, colon);
  const expression = new RegExp(
    `^${pattern
      .slice(0, 300)
      .split(/\*+/)
      .map((part) => part.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("?", "[^/]"))
      .slice(0, 4)
      .join("[^/]*")}$`,
  );
  return expression.test(tag) || expression.test(repository);
}

/** Bytes of each image's layers that another image has as well. */
export function sharedBytes(views: readonly ImageView[]): readonly number[] {
  const users = new Map<string, number>();
  for (const id of views.flatMap(({ diffIds }) => [...new Set(diffIds)])) users.set(id, (users.get(id) ?? 0) + 1);
  return views.map(({ diffIds, history }) => {
    const sizes = history.filter(({ emptyLayer }) => !emptyLayer).map(({ sizeBytes }) => sizeBytes);
    return diffIds.reduce((total, id, at) => total + ((users.get(id) ?? 0) > 1 ? (sizes[at] ?? 0) : 0), 0);
  });
}

export function imageSummary(parts: DockerParts, view: ImageView, shared = -1): object {
  return {
    Id: view.id,
    ParentId: "",
    RepoTags: view.tags,
    RepoDigests: view.digests,
    Created: unixSeconds(view.createdAt),
    Size: view.sizeBytes,
    SharedSize: shared,
    Labels: view.configuration.labels,
    Containers: parts.engine.list().filter(({ imageId }) => imageId === view.id).length,
  };
}

function imageJson(view: ImageView): object {
  const document = record(view.document);
  const { configuration } = view;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return {
    Id: view.id,
    RepoTags: view.tags,
    RepoDigests: view.digests,
    Parent: "",
    Comment: text(document.comment),
    Created: view.createdAt,
    DockerVersion: text(document.docker_version),
    Author: text(document.author),
    Config: {
      Cmd: configuration.command.length === 0 ? null : configuration.command,
      Entrypoint: configuration.entrypoint.length === 0 ? null : configuration.entrypoint,
      Env: configuration.environment,
      WorkingDir: configuration.workingDirectory,
      User: configuration.user,
      Labels: configuration.labels,
      Volumes: null,
      ...record(document.config),
    },
    Architecture: configuration.architecture,
    ...(configuration.variant === undefined ? {} : { Variant: configuration.variant }),
    Os: configuration.os,
    Size: view.sizeBytes,
    GraphDriver: { Name: "overlay2", Data: {} },
    RootFS: { Type: "layers", Layers: view.diffIds },
    Metadata: { LastTagTime: "0001-01-01T00:00:00Z" },
  };
}

/** Newest first; only the last step has the image's own id and tags. */
function historyJson(view: ImageView): readonly object[] {
  return view.history.toReversed().map((step, index) => ({
    Id: index === 0 ? view.id : "<missing>",
    Created: unixSeconds(step.created ?? view.createdAt),
    CreatedBy: step.createdBy ?? "",
    Tags: index === 0 && view.tags.length > 0 ? view.tags : null,
    Size: step.sizeBytes,
    Comment: step.comment ?? "",
  }));
}

/** Without `dangling=false` only images without a tag go; with it, every image that no workload uses. */
async function prune(parts: DockerParts, exchange: Exchange): Promise<void> {
  const given = new Filters(exchange.query.text("filters"), ["dangling", "until", "label", "label!"]);
  const onlyDangling = given.flag("dangling") ?? true;
  const rest = new Filters(
    JSON.stringify(Object.fromEntries(["until", "label", "label!"].filter((n) => given.has(n)).map((n) => [n, given.values(n)]))),
    FILTERS,
  );
  const used = new Set(parts.engine.list().map(({ imageId }) => imageId));
  const deleted: object[] = [];
  for (const view of selectImages(parts, rest)) {
    if (used.has(view.id) || (onlyDangling && view.tags.length > 0)) continue;
    for (const name of view.tags.length === 0 ? [view.id] : view.tags) {
      for (const step of await parts.images.remove(name, { force: false, prune: true })) {
        deleted.push(step.untagged === undefined ? { Deleted: step.deleted } : { Untagged: step.untagged });
      }
    }
  }
  const { freedBytes } = await parts.images.collect(exchange.call);
  exchange.json(200, { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: freedBytes });
}

function unixSeconds(at: string): number {
  const milliseconds = Date.parse(at);
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : {};
}
