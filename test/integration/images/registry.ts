/** Debian's docker-registry on a free port of loopback, and a proxy before it that misbehaves as a test asks. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes, sign, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createSocketServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** `user` and `secret`, by bcrypt. */
const PASSWORDS = "user:$2b$04$tY2MaitrQvLi5dxD/rJfbuUl3ZksXYceneWLOqca94kACssAOJMiO\n";

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly directory: string;
}

export interface RegistryOptions {
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly auth?: "basic" | { readonly realm: string; readonly certificate: string };
}

export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const directory = mkdtempSync("/tmp/bulkhead-registry-");
  const port = await freePort();
  writeFileSync(join(directory, "htpasswd"), PASSWORDS);
  const auth =
    options.auth === undefined
      ? {}
      : options.auth === "basic"
        ? { auth: { htpasswd: { realm: "test", path: join(directory, "htpasswd") } } }
        : { auth: { token: { realm: options.auth.realm, service: "test", issuer: "test-issuer", rootcertbundle: options.auth.certificate } } };
  const configuration = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, "data") } },
    http: { addr: `127.0.0.1:${port}`, ...(options.tls === undefined ? {} : { tls: options.tls }) },
    ...auth,
  };
  const file = join(directory, "config.yml");
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(configuration));
  const child = spawn("docker-registry", ["serve", file], { stdio: "ignore" });
  await listening(port, child);
  return {
    host: `127.0.0.1:${port}`,
    directory,
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createSocketServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      }).on("error", () => resolve(false));
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error("docker-registry does not listen");
}

/** A CA and a certificate for 127.0.0.1 below `directory`. */
export function makeCertificates(directory: string): { readonly ca: string; readonly certificate: string; readonly key: string } {
  const path = (name: string) => join(directory, name);
  const openssl = (...words: string[]) => execFileSync("openssl", words, { stdio: "pipe" });
  openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path("ca.key"), "-out", path("ca.crt"), "-days", "2", "-subj", "/CN=test-ca");
  openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", path("server.key"), "-out", path("server.csr"), "-subj", "/CN=127.0.0.1");
  writeFileSync(path("extensions"), "subjectAltName=IP:127.0.0.1\n");
  const signing = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", path("extensions")];
  openssl("x509", "-req", "-in", path("server.csr"), "-out", path("server.crt"), ...signing);
  return { ca: path("ca.crt"), certificate: path("server.crt"), key: path("server.key") };
}

export interface HttpServer extends AsyncDisposable {
  readonly host: string;
}

export async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<HttpServer> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What the proxy does to one answer: cut it after so many bytes, or change its bytes. */
export interface Mischief {
  readonly cutAfter?: number;
  readonly damage?: boolean;
}

export interface Proxy extends HttpServer {
  /** Requests for blobs in order: path and range. */
  readonly asked: { readonly path: string; readonly range: string | undefined }[];
  sentBytes: number;
}

/** Passes everything on to a registry; `mischief` decides for each request for a blob. */
export async function startProxy(target: string, mischief: (path: string, count: number) => Mischief): Promise<Proxy> {
  const asked: { path: string; range: string | undefined }[] = [];
  const server = await serve((incoming, outgoing) => {
    const path = incoming.url ?? "/";
    const isBlob = path.includes("/blobs/sha256:") && incoming.method === "GET";
    if (isBlob) asked.push({ path, range: incoming.headers.range });
    const { cutAfter, damage } = isBlob ? mischief(path, asked.length) : {};
    const onward = request(
      { host: "127.0.0.1", port: Number(target.split(":")[1]), path, method: incoming.method, headers: { ...incoming.headers, host: target } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        let sent = 0;
        let gone = 0;
        answer.on("data", (piece: Buffer) => {
          const bytes = damage === true ? Buffer.from(piece.map((byte) => byte ^ 1)) : piece;
          const allowed = cutAfter === undefined ? bytes : bytes.subarray(0, Math.max(0, cutAfter - sent));
          sent += allowed.length;
          outgoing.write(allowed, () => {
            // What was only queued when the connection is cut has reached nobody.
            gone += allowed.length;
            if (isBlob) proxy.sentBytes += allowed.length;
            if (cutAfter !== undefined && gone >= cutAfter) outgoing.destroy();
          });
        });
        answer.on("end", () => outgoing.end());
      },
    );
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  const proxy: Proxy = { host: server.host, asked, sentBytes: 0, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  return proxy;
}

/** A token server as distribution specifies it: basic credentials in, a signed token out. */
export async function startTokenServer(key: string, certificate: string): Promise<HttpServer & { readonly scopes: string[] }> {
  const scopes: string[] = [];
  const chain = [new X509Certificate(readFileSync(certificate)).raw.toString("base64")];
  const server = await serve((incoming, outgoing) => {
    const url = new URL(incoming.url ?? "/", "http://token");
    const scope = url.searchParams.get("scope") ?? "";
    scopes.push(scope);
    if (incoming.headers.authorization !== `Basic ${Buffer.from("user:secret").toString("base64")}`) {
      outgoing.writeHead(401).end("{}");
      return;
    }
    const [type, name, actions] = scope.split(":") as [string, string, string];
    const seconds = Math.floor(Date.now() / 1000);
    const part = (document: object) => Buffer.from(JSON.stringify(document)).toString("base64url");
    const claims = {
      iss: "test-issuer",
      sub: "user",
      aud: "test",
      exp: seconds + 300,
      nbf: seconds - 10,
      iat: seconds,
      jti: randomBytes(8).toString("hex"),
      access: [{ type, name, actions: actions.split(",") }],
    };
    const signed = `${part({ typ: "JWT", alg: "RS256", x5c: chain })}.${part(claims)}`;
    const signature = sign("RSA-SHA256", Buffer.from(signed), readFileSync(key)).toString("base64url");
    outgoing.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ token: `${signed}.${signature}`, expires_in: 300 }));
  });
  return { ...server, scopes };
}

/** An image archive with these layers of one file each, of bytes that do not compress. */
export function archiveOf(layers: readonly Buffer[], reference: string, directory: string): Buffer {
  const root = join(directory, `archive-${randomBytes(4).toString("hex")}`);
  const files = layers.map((bytes, index) => {
    const inner = join(root, `layer${index}`);
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, `file${index}`), bytes);
    execFileSync("tar", ["-C", inner, "--mtime=@0", "-cf", join(root, `${index}.tar`), "."]);
    return {
      name: `${index}.tar`,
      digest: createHash("sha256")
        .update(readFileSync(join(root, `${index}.tar`)))
        .digest("hex"),
    };
  });
  const configuration = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Cmd: ["sh"] },
    rootfs: { type: "layers", diff_ids: files.map(({ digest }) => `sha256:${digest}`) },
  };
  writeFileSync(join(root, "config.json"), JSON.stringify(configuration));
  writeFileSync(join(root, "manifest.json"), JSON.stringify([{ Config: "config.json", RepoTags: [reference], Layers: files.map(({ name }) => name) }]));
  const archive = execFileSync("tar", ["-C", root, "-c", "config.json", "manifest.json", ...files.map(({ name }) => name)], { maxBuffer: 1 << 30 });
  rmSync(root, { recursive: true });
  return archive;
}
