/** A registry as users meet it: through the daemon, by our command line and by the stock client, with credentials from a file of Docker's. */

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CHECKOUT, type CommandOutcome, run, TestDaemon } from "../../harness/daemon.ts";
import { makeCertificates, type Registry, startRegistry } from "./registry.ts";

let daemon: TestDaemon;
let registry: Registry;
/** Speaks TLS, by a certificate of a CA that the daemon's configuration names. */
let secure: Registry;
let place: string;
/** Under the name by which users call a registry of their own machine. */
let host: string;
beforeAll(async () => {
  place = mkdtempSync("/tmp/bulkhead-registry-daemon-");
  registry = await startRegistry({ auth: "basic" });
  host = registry.host.replace("127.0.0.1", "localhost");
  const { ca, certificate, key } = makeCertificates(place);
  secure = await startRegistry({ tls: { certificate, key } });
  const trust = join(place, "certs.d");
  mkdirSync(join(trust, secure.host), { recursive: true });
  copyFileSync(ca, join(trust, secure.host, "ca.crt"));
  daemon = await TestDaemon.open({ configuration: { registryCertificates: [trust] } });
});
afterAll(async () => {
  await daemon.close();
  await registry[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
  rmSync(place, { recursive: true });
});

/** A directory as `~/.docker` is, with one login; resolves with what names it to either client. */
function login(password: string, server = host): { readonly DOCKER_CONFIG: string } {
  const directory = mkdtempSync(join(place, "docker-"));
  writeFileSync(join(directory, "config.json"), auths(password, server));
  return { DOCKER_CONFIG: directory };
}

function auths(password: string, server: string): string {
  return JSON.stringify({ auths: { [server]: { auth: Buffer.from(`user:${password}`).toString("base64") } } });
}

const stranger = () => ({ DOCKER_CONFIG: mkdtempSync(join(place, "docker-")) });

type Client = (environment: Readonly<Record<string, string>>, ...words: string[]) => Promise<CommandOutcome>;
const bulkhead: Client = (environment, ...words) => run(join(CHECKOUT, "bin/bulkhead"), words, { BULKHEAD_HOST: daemon.host, ...environment });
const docker: Client = (environment, ...words) => run("docker", ["-H", daemon.host, ...words], environment);

/** The status and the last line's failure of one request with these credentials. */
function ask(path: string, password?: string): Promise<{ readonly status: number; readonly failure: unknown }> {
  const auth = Buffer.from(JSON.stringify(password === undefined ? {} : { username: "user", password })).toString("base64url");
  return new Promise((settle, reject) => {
    const asked = request({ socketPath: daemon.socket, method: "POST", path, headers: { "X-Registry-Auth": auth } }, (response) => {
      const read = async () => {
        const text = Buffer.concat(await response.toArray()).toString("utf8");
        const last = JSON.parse(text.trim().split("\n").at(-1) ?? "{}") as Record<string, unknown>;
        return { status: response.statusCode ?? 0, failure: last["failure"] ?? last };
      };
      read().then(settle, reject);
    });
    asked.on("error", reject).end();
  });
}

const tags = async () =>
  (await daemon.client.images.list()).flatMap(({ RepoTags }) => RepoTags).toSorted((one, other) => String(one).localeCompare(String(other)));

it.for<[string, Client]>([
  ["bulkhead", bulkhead],
  ["the stock docker", docker],
])("what %s pushes it pulls again and runs, by the login in docker's configuration", async ([name, client]) => {
  const known = login("secret");
  const reference = `${host}/${name.replaceAll(" ", "-")}:1`;
  await daemon.client.images.tag("busybox", reference);

  const refused = await client(stranger(), "push", reference);
  expect(refused, refused.stderr).toMatchObject({ code: 1 });
  expect(refused.stderr).toContain("no credentials were shown");
  expect(refused.stderr).toContain(`bulkhead login ${host}`);
  const pushed = await client(known, "push", reference);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/digest: sha256:[0-9a-f]{64} size: \d+/) as unknown });

  await daemon.client.images.remove(reference);
  expect(await tags()).toEqual(["busybox:latest"]);
  const wrong = await client(login("wrong"), "pull", reference);
  expect(wrong, wrong.stderr).toMatchObject({ code: 1 });
  expect(wrong.stderr).toContain("it refused the credentials that were shown");
  const pulled = await client(known, "pull", reference);
  expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
  expect(await tags()).toEqual(["busybox:latest", reference]);
  expect((await client(stranger(), "run", "--rm", "--network", "none", reference, "echo", "ran")).stdout).toBe("ran\n");

  // A run that lacks its image fetches it, with the same login.
  await daemon.client.images.remove(reference);
  const fetched = await client(known, "run", "--rm", "--network", "none", reference, "echo", "fetched");
  expect(fetched, fetched.stderr).toMatchObject({ code: 0, stdout: "fetched\n" });
  await daemon.client.images.remove(reference);
});

it("without a login and with a wrong one a pull is 403 with what to do, a push says so in its stream, and no password is logged", async () => {
  await daemon.client.images.tag("busybox", `${host}/app:1`);
  const told = {
    code: "UNAUTHENTICATED",
    message: expect.stringContaining(host) as unknown,
    remedy: expect.stringContaining(`bulkhead login ${host}`) as unknown,
  };
  for (const password of [undefined, "wr0ng-w0rd"]) {
    expect(await ask(`/images/create?fromImage=${host}/app&tag=1`, password)).toEqual({ status: 403, failure: expect.objectContaining(told) as unknown });
    expect(await ask(`/images/${host}/app/push?tag=1`, password)).toEqual({ status: 200, failure: expect.objectContaining(told) as unknown });
  }
  await daemon.client.images.remove(`${host}/app:1`);
  expect(daemon.output).not.toContain("wr0ng-w0rd");
});

it("whom the daemon trusts, and whose credentials it lends for pulls, its configuration decides", async () => {
  const [image, locked] = [`${secure.host}/app:1`, `${registry.host}/app:1`];
  const distrusted = `${secure.host.replace("127.0.0.1", "localhost")}/app:1`;
  for (const reference of [image, locked, distrusted]) await daemon.client.images.tag("busybox", reference);
  for (const [reference, code] of [
    [image, 0],
    [locked, 0],
    [distrusted, 1],
  ] as const) {
    const pushed = await bulkhead(login("secret", registry.host), "push", reference);
    expect(pushed, pushed.stderr).toMatchObject({ code });
    if (code === 1) expect(pushed.stderr).toMatch(/^Remedy: .*ca\.crt/m);
    await daemon.client.images.remove(reference);
  }
  // Nobody of its own: what serves strangers there is what this one's operator says.
  const lent = join(place, "lent.json");
  writeFileSync(lent, auths("secret", registry.host));
  const other = await TestDaemon.open({
    image: false,
    configuration: { insecureRegistries: [secure.host], registryCertificates: [], registryCredentials: lent },
  });
  try {
    for (const reference of [image, locked]) {
      const pulled = await run(join(CHECKOUT, "bin/bulkhead"), ["pull", "-q", reference], { BULKHEAD_HOST: other.host, ...stranger() });
      expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
      expect(await bulkhead(stranger(), "pull", "-q", reference)).toMatchObject({ code: reference === image ? 0 : 1 });
    }
    const pushed = await run(join(CHECKOUT, "bin/bulkhead"), ["push", locked], { BULKHEAD_HOST: other.host, ...stranger() });
    expect(pushed.stderr, "what is lent is for pulls").toContain("no credentials were shown");
  } finally {
    await other.close();
  }
  await daemon.client.images.remove(image);
});
