/** Pulling and pushing with a real registry. */

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync, copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { plainCall } from "../../../src/contract/call.ts";
import type { TransferProgress } from "../../../src/images/index.ts";
import { type Bench, buildUnpacker, call, openBench, pieces, quiet } from "./bench.ts";
import { archiveOf, makeCertificates, serve, startProxy, startRegistry, startTokenServer } from "./registry.ts";

beforeAll(buildUnpacker);

const NO_CREDENTIALS = { retryDelayMs: 5 };

/** Loads an image of random layers and pushes it, by the code under test. */
async function publish(bench: Bench, reference: string, layers: readonly Buffer[]): Promise<string> {
  const [view] = await bench.images.load(pieces(archiveOf(layers, reference, bench.directory)), quiet, call());
  const { digest } = await bench.images.push(reference, quiet, call());
  expect(digest).toMatch(/^sha256:/);
  return view?.id as string;
}

async function readFirst(bench: Bench, reference: string, name: string): Promise<Buffer> {
  const root = await bench.images.root(bench.images.get(reference).id, "directories", call());
  if (root.form !== "directories") throw new Error("not directories");
  return readFileSync(join(root.layers.at(-1) as string, name));
}

test("what skopeo pushed is pulled whole, with progress per layer, and a second pull fetches nothing", async () => {
  await using registry = await startRegistry();
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  const layers = [randomBytes(400_000), randomBytes(300_000), randomBytes(200_000), randomBytes(100_000)];
  const file = join(bench.directory, "app.tar");
  writeFileSync(file, archiveOf(layers, "app:1", bench.directory));
  const reference = `${registry.host}/app:1`;
  execFileSync("skopeo", ["copy", "--dest-tls-verify=false", `docker-archive:${file}`, `docker://${reference}`], { stdio: "pipe" });
  const steps: TransferProgress[] = [];
  const view = await bench.images.pull(reference, { progress: (step) => steps.push(step) }, call());
  expect(view.tags).toEqual([reference]);
  expect(view.digests[0]).toMatch(new RegExp(`^${registry.host}/app@sha256:`));
  expect((await readFirst(bench, reference, "file0")).equals(layers[0] as Buffer)).toBe(true);
  const shown = new Set(steps.flatMap(({ layer }) => layer ?? []));
  expect(shown.size).toBe(4);
  for (const layer of shown)
    expect(steps.filter((step) => step.layer === layer).map(({ status }) => status)).toEqual(
      expect.arrayContaining(["Pulling fs layer", "Downloading", "Download complete", "Pull complete"]),
    );
  expect(bench.images.get(view.digests[0] as string).id).toBe(view.id);
  const again: TransferProgress[] = [];
  await bench.images.pull(reference, { progress: (step) => again.push(step) }, call());
  expect(again.some(({ status }) => status === "Downloading")).toBe(false);
  expect(again.at(-1)?.status).toContain("Image is up to date");
});

test("what was pushed here is read by skopeo", async () => {
  await using registry = await startRegistry();
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  const reference = `${registry.host}/deep/er/app:2`;
  const id = await publish(bench, reference, [randomBytes(1000)]);
  const raw = execFileSync("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${reference}`], { encoding: "utf8" });
  expect((JSON.parse(raw) as { config: { digest: string } }).config.digest).toBe(id);
});

test("a missing tag, a missing repository and a registry that is not there are told apart", async () => {
  await using registry = await startRegistry();
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  await publish(bench, `${registry.host}/app:1`, [randomBytes(100)]);
  await expect(bench.images.pull(`${registry.host}/app:nope`, quiet, call())).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(bench.images.pull(`${registry.host}/nope:1`, quiet, call())).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(bench.images.pull("127.0.0.1:1/app:1", quiet, call())).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("ECONNREFUSED"),
    remedy: expect.stringContaining("see that the registry runs"),
  });
  await expect(bench.images.pull("UPPER/app", quiet, call())).rejects.toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|INVALID_SPEC/) });
});

test("connections that break are continued where they ended", async () => {
  await using registry = await startRegistry();
  await using source = await openBench({ registries: NO_CREDENTIALS });
  const layer = randomBytes(3_000_000);
  await publish(source, `${registry.host}/app:1`, [layer]);
  await using proxy = await startProxy(registry.host, (_, count) => (count <= 4 ? { cutAfter: 700_000 } : {}));
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  await bench.images.pull(`${proxy.host}/app:1`, quiet, call());
  expect((await readFirst(bench, `${proxy.host}/app:1`, "file0")).equals(layer)).toBe(true);
  expect(proxy.asked.filter(({ range }) => range !== undefined).length).toBeGreaterThanOrEqual(3);
  expect(proxy.sentBytes).toBeLessThan(3_100_000);
});

test("a pull that was cut off is continued by the next daemon", async () => {
  await using registry = await startRegistry();
  await using source = await openBench({ registries: NO_CREDENTIALS });
  await publish(source, `${registry.host}/app:1`, [randomBytes(8_000_000)]);
  await using proxy = await startProxy(registry.host, () => ({}));
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  const abort = new AbortController();
  const progress = ({ current = 0 }: TransferProgress) => void (current > 2_000_000 && abort.abort());
  await expect(bench.images.pull(`${proxy.host}/app:1`, { progress }, plainCall(abort.signal))).rejects.toMatchObject({ code: "CANCELLED" });
  expect(bench.images.list()).toEqual([]);
  expect(readdirSync(join(bench.directory, "images/partial"))).toHaveLength(1);
  await bench.reopen();
  await bench.images.pull(`${proxy.host}/app:1`, quiet, call());
  expect(proxy.asked.at(-1)?.range).toMatch(/^bytes=[1-9]\d{5,}-$/);
  expect(readdirSync(join(bench.directory, "images/partial"))).toEqual([]);
});

test("a blob whose digest lies is refused before anything is unpacked", async () => {
  await using registry = await startRegistry();
  await using source = await openBench({ registries: NO_CREDENTIALS });
  await publish(source, `${registry.host}/app:1`, [randomBytes(300_000)]);
  await using proxy = await startProxy(registry.host, () => ({ damage: true }));
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  await expect(bench.images.pull(`${proxy.host}/app:1`, quiet, call())).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  expect(readdirSync(join(bench.directory, "images/layers"))).toEqual([]);
  expect(bench.images.list()).toEqual([]);
});

test("a registry that always breaks off is given up, and says that what came is kept", async () => {
  await using registry = await startRegistry();
  await using source = await openBench({ registries: NO_CREDENTIALS });
  await publish(source, `${registry.host}/app:1`, [randomBytes(300_000)]);
  await using proxy = await startProxy(registry.host, () => ({ cutAfter: 0 }));
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  await expect(bench.images.pull(`${proxy.host}/app:1`, quiet, call())).rejects.toMatchObject({ code: "UNAVAILABLE", remedy: expect.stringContaining("kept") });
  expect(proxy.asked.length).toBeLessThan(20);
});

test("basic credentials come from the caller or from docker's configuration, and wrong ones are told", async () => {
  await using registry = await startRegistry({ auth: "basic" });
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  const reference = `${registry.host}/app:1`;
  await bench.images.load(pieces(archiveOf([randomBytes(1000)], reference, bench.directory)), quiet, call());
  await expect(bench.images.push(reference, quiet, call())).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
    remedy: expect.stringContaining("bulkhead login"),
  });
  await bench.images.push(reference, { ...quiet, credentials: { username: "user", password: "secret" } }, call());
  await expect(bench.images.pull(reference, { ...quiet, credentials: { username: "user", password: "wrong" } }, call())).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
  const credentialsFile = join(bench.directory, "config.json");
  writeFileSync(credentialsFile, JSON.stringify({ auths: { [`https://${registry.host}/v1/`]: { auth: Buffer.from("user:secret").toString("base64") } } }));
  await using other = await openBench({ registries: { ...NO_CREDENTIALS, credentialsFile } });
  expect((await other.images.pull(reference, quiet, call())).tags).toEqual([reference]);
});

test("a token server is asked for exactly the scope that is needed", async () => {
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  const { certificate, key } = makeCertificates(bench.directory);
  await using tokens = await startTokenServer(key, certificate);
  await using registry = await startRegistry({ auth: { realm: `http://${tokens.host}/token`, certificate: join(bench.directory, "ca.crt") } });
  const reference = `${registry.host}/app:1`;
  const credentials = { username: "user", password: "secret" };
  await bench.images.load(pieces(archiveOf([randomBytes(1000)], reference, bench.directory)), quiet, call());
  await bench.images.push(reference, { ...quiet, credentials }, call());
  await bench.images.pull(reference, { ...quiet, credentials }, call());
  expect(new Set(tokens.scopes)).toEqual(new Set(["repository:app:pull,push", "repository:app:pull"]));
  await expect(bench.images.pull(reference, quiet, call())).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

test("TLS is verified with the operator's own CA, and distrust is never evaded by speaking plainly", async () => {
  await using bench = await openBench();
  const { ca, certificate, key } = makeCertificates(bench.directory);
  await using registry = await startRegistry({ tls: { certificate, key } });
  const reference = `${registry.host}/app:1`;
  await using blind = await openBench({ registries: { ...NO_CREDENTIALS, certificateDirectories: [] } });
  await expect(blind.images.pull(reference, quiet, call())).rejects.toMatchObject({ code: "UNAVAILABLE", remedy: expect.stringContaining("ca.crt") });
  const directory = join(bench.directory, "certs.d", registry.host);
  mkdirSync(directory, { recursive: true });
  copyFileSync(ca, join(directory, "ca.crt"));
  await using trusting = await openBench({ registries: { ...NO_CREDENTIALS, certificateDirectories: [join(bench.directory, "certs.d")] } });
  await publish(trusting, reference, [randomBytes(1000)]);
  await trusting.images.remove(reference, { force: true, prune: true });
  expect((await trusting.images.pull(reference, quiet, call())).tags).toEqual([reference]);
  await using careless = await openBench({ registries: { ...NO_CREDENTIALS, certificateDirectories: [], insecure: [registry.host] } });
  expect((await careless.images.pull(reference, quiet, call())).tags).toEqual([reference]);
});

test("of an index the image for the wanted platform is taken", async () => {
  await using registry = await startRegistry();
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  const [amd, arm] = [
    await publish(bench, `${registry.host}/app:amd`, [randomBytes(500)]),
    await publish(bench, `${registry.host}/app:arm`, [randomBytes(500)]),
  ];
  const manifests = await Promise.all(
    [
      { tag: "amd", platform: { os: "linux", architecture: "amd64" } },
      { tag: "arm", platform: { os: "linux", architecture: "arm64", variant: "v8" } },
    ].map(async ({ tag, platform }) => {
      const response = await fetch(`http://${registry.host}/v2/app/manifests/${tag}`, {
        headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
      });
      const bytes = await response.arrayBuffer();
      return {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: response.headers.get("docker-content-digest"),
        size: bytes.byteLength,
        platform,
      };
    }),
  );
  const body = JSON.stringify({ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests });
  await fetch(`http://${registry.host}/v2/app/manifests/all`, { method: "PUT", body, headers: { "content-type": "application/vnd.oci.image.index.v1+json" } });
  expect((await bench.images.pull(`${registry.host}/app:all`, { ...quiet, platform: "linux/arm64" }, call())).id).toBe(arm);
  expect((await bench.images.pull(`${registry.host}/app:all`, { ...quiet, platform: "linux/x86_64" }, call())).id).toBe(amd);
  await expect(bench.images.pull(`${registry.host}/app:all`, { ...quiet, platform: "linux/s390x" }, call())).rejects.toMatchObject({
    code: "NOT_FOUND",
    remedy: expect.stringContaining("linux/arm64/v8"),
  });
});

test.each([
  ["a manifest of schema 1", { schemaVersion: 1, name: "x", fsLayers: [] }, "UNSUPPORTED"],
  ["a manifest larger than 4 MiB", { schemaVersion: 2, filler: "x".repeat(5_000_000) }, "CORRUPT_DATA"],
  ["a manifest that is no JSON", "<html>", "CORRUPT_DATA"],
  [
    "a layer with a digest that is a path",
    {
      schemaVersion: 2,
      config: { digest: `sha256:${"0".repeat(64)}`, size: 1 },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: "sha256:../../../etc/passwd", size: 1 }],
    },
    "CORRUPT_DATA",
  ],
])("%s is refused by name", async (_, manifest, code) => {
  await using server = await serve((request, response) => {
    response.writeHead(200).end(request.url === "/v2/" ? "" : typeof manifest === "string" ? manifest : JSON.stringify(manifest));
  });
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  await expect(bench.images.pull(`${server.host}/app:1`, quiet, call())).rejects.toMatchObject({ code });
});

test("credentials are not sent to where a registry redirects", async () => {
  const seen: (string | undefined)[] = [];
  await using elsewhere = await serve((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(404).end();
  });
  await using server = await serve((request, response) => {
    if (request.url === "/v2/") response.writeHead(200).end();
    else if (request.headers.authorization === undefined) response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
    else response.writeHead(307, { location: `http://${elsewhere.host}/there` }).end();
  });
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  await expect(bench.images.pull(`${server.host}/app:1`, { ...quiet, credentials: { username: "user", password: "secret" } }, call())).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  expect(seen).toEqual([undefined]);
});

test("what is being pulled is not collected", async () => {
  await using registry = await startRegistry();
  await using source = await openBench({ registries: NO_CREDENTIALS });
  await publish(source, `${registry.host}/app:1`, [randomBytes(300_000), randomBytes(200_000)]);
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  const collections: Promise<unknown>[] = [];
  const view = await bench.images.pull(`${registry.host}/app:1`, { progress: () => void collections.push(bench.images.collect(call())) }, call());
  await Promise.all(collections);
  expect(collections.length).toBeGreaterThan(4);
  const root = await bench.images.root(view.id, "directories", call());
  if (root.form === "directories") for (const layer of root.layers) expect(readdirSync(layer)).toHaveLength(1);
});

test("a layer is unpacked while the one above it is still on its way", async () => {
  await using registry = await startRegistry();
  await using source = await openBench({ registries: NO_CREDENTIALS });
  await publish(source, `${registry.host}/app:1`, [randomBytes(50_000), randomBytes(60_000)]);
  await using bench = await openBench({ registries: { ...NO_CREDENTIALS, retryDelayMs: 300 } });
  const unpacked = () => readdirSync(bench.directory, { recursive: true, encoding: "utf8" }).some((name) => name.endsWith("/tree/file0"));
  const accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
  const answer = await fetch(`http://${registry.host}/v2/app/manifests/1`, { headers: { accept } });
  const upper = ((await answer.json()) as { layers: { digest: string }[] }).layers[1]?.digest ?? "";
  let cuts = 0;
  // The upper layer comes only once the lower one's files are there, whichever is asked for first.
  await using proxy = await startProxy(registry.host, (path) => {
    if (!path.endsWith(upper) || unpacked()) return {};
    cuts += 1;
    return { cutAfter: 0 };
  });
  const view = await bench.images.pull(`${proxy.host}/app:1`, quiet, call());
  expect(cuts).toBeGreaterThan(0);
  expect(view.diffIds).toHaveLength(2);
});

test("a login is checked by showing it to the registry", async () => {
  await using registry = await startRegistry({ auth: "basic" });
  await using bench = await openBench({ registries: NO_CREDENTIALS });
  await bench.images.checkLogin(`http://${registry.host}/v2/`, { username: "user", password: "secret" }, call());
  await expect(bench.images.checkLogin(registry.host, { username: "user", password: "wrong" }, call())).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await expect(bench.images.checkLogin("no registry!", { username: "user", password: "x" }, call())).rejects.toMatchObject({ code: "INVALID_SPEC" });
});
