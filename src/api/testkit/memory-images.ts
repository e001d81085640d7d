/** A store of images in memory that keeps the promises which the API's clients can see: names, ids, progress, archives. */

import { createHash } from "node:crypto";
import { Failure, quote } from "../../contract/failure.ts";
import type { ImageConfiguration, Images, ImageView, RegistryCredentials, TransferProgress } from "../../images/index.ts";

export interface MemoryImages extends Images {
  /** What a registry would offer, by reference. */
  readonly offered: Set<string>;
  /** Credentials of the pulls and pushes so far. */
  readonly seenCredentials: (RegistryCredentials | undefined)[];
}

const CONFIGURATION: ImageConfiguration = {
  architecture: "amd64",
  os: "linux",
  entrypoint: [],
  command: ["sleep", "1000000"],
  environment: ["PATH=/bin"],
  workingDirectory: "",
  user: "",
  labels: { maker: "testkit" },
  exposedPorts: [],
  volumes: [],
};

export function memoryImages(first: readonly string[] = ["busybox:latest"]): MemoryImages {
  const images = new Map<string, ImageView>();
  const held = new Map<string, string>();
  const offered = new Set<string>();
  const seenCredentials: (RegistryCredentials | undefined)[] = [];

  const put = (seed: string, tags: readonly string[], document: unknown = {}): ImageView => {
    const id = `sha256:${createHash("sha256").update(seed).digest("hex")}`;
    const known = images.get(id);
    for (const other of images.values()) if (other.id !== id) untag(other.id, tags);
    const view: ImageView = {
      id,
      tags: [...new Set([...(known?.tags ?? []), ...tags])],
      digests: [],
      createdAt: "2026-01-02T03:04:05.000000006Z",
      sizeBytes: 1_234_567,
      configuration: CONFIGURATION,
      document,
      diffIds: [id],
      history: [{ created: "2026-01-02T03:04:05Z", createdBy: "ADD rootfs.tar /", emptyLayer: false, sizeBytes: 1_234_567 }],
    };
    images.set(id, view);
    return view;
  };
  const untag = (id: string, tags: readonly string[]) => {
    const view = images.get(id);
    if (view !== undefined) images.set(id, { ...view, tags: view.tags.filter((tag) => !tags.includes(tag)) });
  };
  const find = (reference: string): ImageView | undefined => {
    const name = normalize(reference);
    const hex = reference.replace(/^sha256:/, "");
    return [...images.values()].find((view) => view.tags.includes(name) || (/^[0-9a-f]{4,64}$/.test(hex) && view.id.startsWith(`sha256:${hex}`)));
  };
  const get = (reference: string): ImageView => {
    const view = find(reference);
    if (view === undefined) throw new Failure("NOT_FOUND", `No such image: ${normalize(reference)}`);
    return view;
  };
  const layers = (progress: (step: TransferProgress) => void) => {
    progress({ layer: "0123456789ab", status: "Pulling fs layer" });
    progress({ layer: "0123456789ab", status: "Downloading", current: 500_000, total: 1_000_000 });
    progress({ layer: "0123456789ab", status: "Pull complete" });
  };
  const read = async (archive: AsyncIterable<Uint8Array>): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of archive) chunks.push(chunk);
    return Buffer.concat(chunks);
  };

  for (const name of first) put(name, [name]);
  return {
    offered,
    seenCredentials,
    get,
    list: () => [...images.values()],
    tag: async (source, target) => retag(get(source), target),
    remove: async (reference, { force }) => {
      const view = get(reference);
      const byId = !view.tags.includes(normalize(reference));
      const going = byId ? view.tags : [normalize(reference)];
      const last = view.tags.length === going.length;
      if (last && !force && [...held.values()].includes(view.id)) throw new Failure("WRONG_STATE", `conflict: image ${quote(reference)} is in use`);
      untag(view.id, going);
      if (last) images.delete(view.id);
      return [...going.map((untagged) => ({ untagged })), ...(last ? [{ deleted: view.id }] : [])];
    },
    pull: async (reference, { credentials, progress }) => {
      const name = normalize(reference);
      seenCredentials.push(credentials);
      progress({ status: `Pulling from ${name}` });
      if (!offered.has(name)) throw new Failure("NOT_FOUND", `manifest for ${name} not found`);
      layers(progress);
      progress({ status: `Status: Downloaded newer image for ${name}` });
      return put(name, [name]);
    },
    checkLogin: async (server, { username, password }) => {
      if (password !== "right") throw new Failure("UNAUTHENTICATED", `${server} refused ${username ?? ""}`);
    },
    push: async (reference, { credentials, progress }) => {
      seenCredentials.push(credentials);
      const view = get(reference);
      layers(progress);
      return { digest: view.id, sizeBytes: 528 };
    },
    load: async (archive, { progress }) => {
      const bytes = await read(archive);
      if (!bytes.toString("latin1").startsWith("name="))
        throw new Failure("CORRUPT_DATA", "the archive is not an image", { remedy: "Make it with docker save." });
      progress({ layer: "0123456789ab", status: "Loading layer", current: bytes.length, total: bytes.length });
      return [put(bytes.toString("latin1"), [normalize(bytes.toString("latin1").slice(5).trim())])];
    },
    import: async (archive, { reference }) => put((await read(archive)).toString("latin1"), reference === undefined ? [] : [normalize(reference)]),
    save: async function* (references) {
      for (const reference of references) yield Buffer.from(`name=${get(reference).tags[0] ?? ""}`);
    },
    root: async () => ({ form: "directories", layers: ["/layers/1"] }),
    // An image that is called so has one.
    contents: async (id) => ({
      setUserIdFiles: get(id).tags.some((tag) => tag.startsWith("with-su:")) ? ["/bin/su"] : [],
      initSystems: [],
      kernelModules: [],
      complete: true,
    }),
    hold: (image, holder) => void held.set(holder, image),
    release: (holder) => void held.delete(holder),
    settled: async () => {},
    collect: async () => ({ freedBytes: 0, removed: [] }),
  };

  function retag(view: ImageView, target: string): void {
    const tag = normalize(target);
    for (const other of images.values()) untag(other.id, [tag]);
    images.set(view.id, { ...view, tags: [...view.tags.filter((known) => known !== tag), tag] });
  }
}

/** Familiar form with tag. */
function normalize(reference: string): string {
  if (/:[^/]*:[^/]*$/.test(reference) && !reference.includes("sha256:")) throw new Failure("INVALID_SPEC", `invalid reference format: ${quote(reference)}`);
  const name = reference.replace(/^docker\.io\//, "").replace(/^library\//, "");
  return /:[^/]*$/.test(name) ? name : `${name}:latest`;
}
