/** Pushing: the blobs that the registry lacks, then the manifest under its tag. */

import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { RegistryCredentials } from "./index.ts";
import { type Progress, readManifest, type Store, shortId } from "./intake.ts";
import { LeaseBundle } from "./leases.ts";
import type { Descriptor } from "./manifest.ts";
import { parseReference, withDefaultTag } from "./reference.ts";
import { Session } from "./registry/session.ts";
import type { RegistrySettings } from "./registry/settings.ts";

export interface PushOptions {
  readonly credentials?: RegistryCredentials;
  readonly progress: Progress;
  readonly settings: Partial<RegistrySettings>;
}

export async function pushImage(
  store: Store,
  text: string,
  options: PushOptions,
  call: Call,
): Promise<{ readonly digest: string; readonly sizeBytes: number }> {
  const reference = withDefaultTag(parseReference(text));
  const image = store.records.get(text);
  using leases = new LeaseBundle(store.leases);
  for (const digest of [image.id, image.manifest, ...image.layers.map((layer) => layer.digest)]) leases.add(digest);
  await using session = await Session.open(reference, { settings: options.settings, credentials: options.credentials, actions: "pull,push" }, call);
  const manifest = await readManifest(store.blobs, image.manifest);
  if (manifest.kind !== "image") throw new Failure("INTERNAL", `the manifest of ${text.slice(0, 200)} is an index`);
  for (const part of [...manifest.layers, manifest.configuration]) await pushBlob(store, session, part, options.progress);
  const bytes = await store.blobs.bytes(image.manifest);
  const name = reference.tag ?? image.manifest;
  const headers = { "content-type": manifest.mediaType, "content-length": String(bytes.length) };
  const { body } = await session.request({ method: "PUT", path: `manifests/${name}`, headers, body: () => bytes }, [201, 202]);
  await body.dump();
  return { digest: image.manifest, sizeBytes: bytes.length };
}

async function pushBlob(store: Store, session: Session, part: Descriptor, progress: Progress): Promise<void> {
  const layer = shortId(part.digest);
  const found = await session.request({ method: "HEAD", path: `blobs/${part.digest}` }, [200, 404]);
  await found.body.dump();
  if (found.statusCode === 200) {
    progress({ layer, status: "Layer already exists" });
    return;
  }
  progress({ layer, status: "Preparing" });
  const begun = await session.request({ method: "POST", path: "blobs/uploads/", headers: { "content-length": "0" } }, [202]);
  await begun.body.dump();
  const location = [begun.headers.location ?? []].flat()[0];
  if (location === undefined) throw new Failure("UNAVAILABLE", `${session.repository}: the registry says no place for an upload`);
  const target = new URL(location, "http://relative.invalid");
  target.searchParams.set("digest", part.digest);
  const path = target.hostname === "relative.invalid" ? `${target.pathname}${target.search}` : target.href;
  async function* counted(): AsyncGenerator<Uint8Array> {
    let current = 0;
    for await (const piece of store.blobs.read(part.digest)) {
      yield piece;
      current += piece.length;
      progress({ layer, status: "Pushing", current, total: part.sizeBytes });
    }
  }
  const headers = { "content-type": "application/octet-stream", "content-length": String(part.sizeBytes) };
  const { body } = await session.request({ method: "PUT", path, headers, body: counted }, [201, 204]);
  await body.dump();
  progress({ layer, status: "Pushed" });
}
