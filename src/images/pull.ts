/** Pulling: manifest, then configuration, then layers (three at a time, lowest first), each unpacked as soon as it and those below are there. */

import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import { digestOf } from "./digest.ts";
import type { RegistryCredentials } from "./index.ts";
import { type Progress, type Store, shortId, takeIn } from "./intake.ts";
import { LeaseBundle } from "./leases.ts";
import { type Descriptor, MAX_MANIFEST_BYTES, type Manifest, MEDIA, parseManifest } from "./manifest.ts";
import { parsePlatform, platformText, selectForHost, selectPlatform } from "./platform.ts";
import type { ImageRecord } from "./records.ts";
import { familiar, parseReference, repositoryOf, tagKey, withDefaultTag } from "./reference.ts";
import { readBody } from "./registry/body.ts";
import { downloadBlob } from "./registry/download.ts";
import { Session } from "./registry/session.ts";
import type { RegistrySettings } from "./registry/settings.ts";

const PARALLEL = 3;
const ACCEPT = [MEDIA.index, MEDIA.manifest, MEDIA.dockerIndex, MEDIA.dockerManifest].join(", ");

export interface PullOptions {
  readonly platform?: string;
  readonly credentials?: RegistryCredentials;
  readonly progress: Progress;
  readonly settings: Partial<RegistrySettings>;
}

export async function pullImage(store: Store, text: string, options: PullOptions, call: Call): Promise<ImageRecord> {
  const reference = withDefaultTag(parseReference(text));
  parsePlatform(options.platform); // a wrong one is refused before the registry is asked
  const wanted = reference.digest ?? reference.tag ?? "latest";
  await using session = await Session.open(reference, { settings: options.settings, credentials: options.credentials, actions: "pull" }, call);
  options.progress({ status: `Pulling from ${familiar({ domain: reference.domain, path: reference.path })}` });
  const top = await fetchManifest(session, wanted);
  const chosen = top.manifest.kind === "image" ? top : await fetchManifest(session, choose(top.manifest, options.platform, text).digest);
  if (chosen.manifest.kind !== "image") throw new Failure("UNSUPPORTED", `${text.slice(0, 200)} is an index of indexes`);
  using leases = new LeaseBundle(store.leases);
  const { configuration, layers } = chosen.manifest;
  for (const digest of [chosen.digest, configuration.digest, ...layers.map((layer) => layer.digest)]) leases.add(digest);
  if (configuration.sizeBytes > MAX_MANIFEST_BYTES)
    throw new Failure("CORRUPT_DATA", `the configuration has ${configuration.sizeBytes} bytes; ${MAX_MANIFEST_BYTES} are allowed`);
  await requireRoom(store, layers);
  await store.blobs.put(chosen.bytes, leases);
  const pull: Fetching = { store, session, leases, progress: options.progress, given: { up: false } };
  await fetchOnce(pull, configuration, () => {});
  const tags = reference.digest === undefined ? [tagKey(reference)] : [];
  const known = store.records.find(text)?.id;
  const arrival = { manifest: chosen.digest, tags, digests: [`${repositoryOf(reference)}@${top.digest}`] };
  const record = await whileFetching(pull, layers, (arriving) => takeIn(store, arrival, { leases, progress: options.progress, arriving }, call));
  options.progress({ status: `Digest: ${top.digest}` });
  options.progress({ status: `Status: ${known === record.id ? "Image is up to date" : "Downloaded newer image"} for ${familiar(reference)}` });
  return record;
}

interface Fetched {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly manifest: Manifest;
}

/** By tag or digest. A digest that was asked for must be that of the bytes that came. */
async function fetchManifest(session: Session, wanted: string): Promise<Fetched> {
  const { headers, body } = await session.request({ method: "GET", path: `manifests/${wanted}`, headers: { accept: ACCEPT } }, [200]);
  const bytes = await readBody(body as AsyncIterable<Uint8Array>, MAX_MANIFEST_BYTES, `${session.repository}: the manifest`);
  const digest = digestOf(bytes);
  const promised = wanted.startsWith("sha256:") ? wanted : headers["docker-content-digest"];
  const manifest = parseManifest(bytes, [headers["content-type"] ?? []].flat()[0]);
  if (typeof promised === "string" && promised.startsWith("sha256:") && promised !== digest) {
    throw new Failure("CORRUPT_DATA", `${session.repository}: the manifest ${promised} has the digest ${digest}`);
  }
  return { bytes, digest, manifest };
}

function choose(index: Manifest & { readonly kind: "index" }, asked: string | undefined, text: string): Descriptor {
  const platform = parsePlatform(asked);
  const anyOfHost = asked === undefined || asked === "";
  const chosen = anyOfHost ? selectForHost(index.manifests) : selectPlatform(index.manifests, platform);
  if (chosen !== undefined) return chosen;
  const offered = index.manifests.flatMap((item) => (item.platform === undefined || item.platform.os === "unknown" ? [] : [platformText(item.platform)]));
  throw new Failure("NOT_FOUND", `no matching manifest for ${platformText(platform)} in the manifest list entries of ${text.slice(0, 200)}`, {
    remedy: `it has ${offered.slice(0, 12).join(", ") || "no platforms"}: name one with --platform`,
  });
}

/** For what is not here yet, twice: as it comes, and unpacked, which is no smaller. */
async function requireRoom(store: Store, layers: readonly Descriptor[]): Promise<void> {
  let missing = 0;
  for (const { digest, sizeBytes } of layers) if ((await store.blobs.size(digest)) === undefined) missing += sizeBytes;
  if (missing > 0) await store.blobs.space.require(2 * missing, "the image");
}

/** What a pull works with. */
interface Fetching {
  readonly store: Store;
  readonly session: Session;
  readonly leases: LeaseBundle;
  readonly progress: Progress;
  /** Set when what has come cannot be used: then nothing more is fetched. */
  readonly given: { up: boolean };
}

/** Fetches the layers and does `work` beside it. Settles only when both have stopped: nobody writes any more, and the first refusal is told. */
async function whileFetching<T>(pull: Fetching, layers: readonly Descriptor[], work: (arriving: ReadonlyMap<string, Promise<void>>) => Promise<T>): Promise<T> {
  const arriving = new Map(layers.map(({ digest }) => [digest, Promise.withResolvers<void>()]));
  for (const { promise } of arriving.values()) promise.catch(() => {});
  const fetching = fetchAll(pull, layers, (digest) => arriving.get(digest)?.resolve()).catch((thrown: unknown) => {
    for (const { reject } of arriving.values()) reject(thrown);
    throw thrown;
  });
  const working = work(new Map([...arriving].map(([digest, { promise }]) => [digest, promise]))).catch((thrown: unknown) => {
    pull.given.up = true;
    throw thrown;
  });
  const [fetched, worked] = await Promise.allSettled([fetching, working]);
  if (worked.status === "fulfilled") return worked.value;
  throw fetched.status === "rejected" ? fetched.reason : worked.reason;
}

async function fetchAll(pull: Fetching, parts: readonly Descriptor[], arrived: (digest: string) => void): Promise<void> {
  const distinct = [...new Map(parts.map((part) => [part.digest, part])).values()];
  const say = (part: Descriptor, status: string, current?: number) =>
    pull.progress({ layer: shortId(part.digest), status, ...(current === undefined ? {} : { current, total: part.sizeBytes }) });
  const waiting: Descriptor[] = [];
  for (const part of distinct) {
    const here = (await pull.store.blobs.size(part.digest)) !== undefined;
    say(part, here ? "Already exists" : "Pulling fs layer");
    if (here) arrived(part.digest);
    else waiting.push(part);
  }
  const work = async () => {
    for (let part = waiting.shift(); part !== undefined && !pull.given.up; part = waiting.shift()) {
      const blob = part;
      await fetchOnce(pull, blob, (current) => say(blob, "Downloading", current));
      say(blob, "Download complete");
      arrived(blob.digest);
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: PARALLEL }, work));
  const refused = outcomes.find((outcome) => outcome.status === "rejected");
  if (refused !== undefined) throw refused.reason;
}

/** Two pulls that want one blob fetch it once. Who waited for one that was given up tries by itself. */
async function fetchOnce({ store, session, leases }: Fetching, blob: Descriptor, progress: (bytes: number) => void): Promise<void> {
  let own = false;
  const fetch = async () => {
    own = true;
    if ((await store.blobs.size(blob.digest)) === undefined) await downloadBlob(session, { blobs: store.blobs, leases }, blob, progress);
  };
  try {
    await store.downloads.run(blob.digest, fetch);
  } catch (thrown) {
    if (own || session.signal.aborted) throw thrown;
    await store.downloads.run(blob.digest, fetch);
  }
}
