/** `/containers/{id}/archive`: what `docker cp` is made of. HEAD looks, GET brings a tar out, PUT takes one in. */

import { posix } from "node:path";
import { Failure } from "../../contract/failure.ts";
import type { FileStat } from "../../contract/sandbox.ts";
import type { WorkloadView } from "../../engine/index.ts";
import { withArchive } from "../archive-body.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { errorBody } from "../status.ts";
import { goFileMode } from "./file-mode.ts";
import type { DockerParts } from "./parts.ts";

const STAT_HEADER = "X-Docker-Container-Path-Stat";

export function archiveRoutes(parts: DockerParts): readonly Route[] {
  const path = "/containers/{id}/archive";
  return [
    { method: "HEAD", path, handle: (exchange) => look(parts, exchange) },
    { method: "GET", path, handle: (exchange) => bringOut(parts, exchange) },
    { method: "PUT", path, handle: (exchange) => takeIn(parts, exchange) },
  ];
}

function readPath(exchange: Exchange): string {
  const path = exchange.query.text("path");
  if (path === undefined) throw new Failure("INVALID_SPEC", "bad parameter: 'path' cannot be empty", { remedy: "Name a path inside the container." });
  return path;
}

async function look({ engine }: DockerParts, exchange: Exchange): Promise<void> {
  const stat = await engine.statFile(exchange.parameter("id"), readPath(exchange), exchange.call);
  exchange.response.setHeader(STAT_HEADER, statHeader(stat));
  exchange.empty(200);
}

async function bringOut({ engine }: DockerParts, exchange: Exchange): Promise<void> {
  const { stat, archive } = await engine.readFiles(exchange.parameter("id"), readPath(exchange), exchange.call);
  exchange.response.setHeader(STAT_HEADER, statHeader(stat));
  exchange.begin(200, "application/x-tar");
  for await (const bytes of archive) await exchange.write(bytes);
  exchange.response.end();
}

/** Owners are always the archive's: so Docker does, but for `copyUIDGID` to a container with a user of its own. */
async function takeIn({ engine }: DockerParts, exchange: Exchange): Promise<void> {
  const id = exchange.parameter("id");
  const path = readPath(exchange);
  const options = { keepKinds: exchange.query.flag("noOverwriteDirNonDir"), keepOwners: true };
  await withArchive(exchange, async (archive) => {
    const readOnly = findReadOnly(engine.inspect(id), path);
    if (readOnly !== undefined) return exchange.json(403, errorBody(readOnly));
    await engine.writeFiles(id, path, { archive, options }, exchange.call);
    exchange.empty(200);
  });
}

/** What this path lies in, where that takes no files: by its name. Links that lead there are met by the boundary. */
function findReadOnly({ id, request, mounts }: WorkloadView, path: string): Failure | undefined {
  const clean = posix.join("/", path).replace(/(.)\/$/, "$1");
  const around = mounts.filter(({ target }) => clean === target || clean.startsWith(`${target}/`)).sort((a, b) => b.target.length - a.target.length)[0];
  const what = around === undefined ? "container rootfs" : "mounted volume";
  if (around === undefined ? !request.security.readOnlyRoot : !around.readOnly) return undefined;
  return new Failure("INVALID_SPEC", `${what} is marked read-only`, { workload: id, remedy: "Copy to a volume that is not, or create the container anew." });
}

function statHeader({ name, sizeBytes, mode, modifiedAt, linkTarget }: FileStat): string {
  return Buffer.from(JSON.stringify({ name, size: sizeBytes, mode: goFileMode(mode), mtime: modifiedAt, linkTarget })).toString("base64");
}
