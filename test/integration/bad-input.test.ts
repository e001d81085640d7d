/** What bad input gets, by the command line and over HTTP: one sentence, what to do, the right exit code and status, and nothing half-made. */

import { existsSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { busyboxArchive } from "../../scripts/fixtures/busybox-image.ts";
import { type CommandOutcome, run, TestDaemon } from "../harness/daemon.ts";
import type { HostTraces } from "../harness/host-traces.ts";
import { makeArchive, makeImage } from "./chaos/archives.ts";
import { findUnusable, readBaseline } from "./chaos/inhabitants.ts";

let daemon: TestDaemon;
let before: HostTraces;
let unusable: ReadonlyMap<string, string>;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  unusable = await findUnusable(daemon);
  before = await readBaseline(daemon);
});
afterAll(() => daemon.close());
afterEach(async () => {
  await expect.poll(async () => (await daemon.client.workloads.list({ all: true })).map(({ Names }) => Names[0])).toEqual([]);
  expect((await daemon.client.images.list()).map(({ RepoTags }) => RepoTags)).toEqual([["busybox:latest"]]);
  expect(await daemon.client.volumes.list()).toEqual([]);
  expect(await daemon.settledTraces(before), "nothing half-made is left").toEqual(before);
});

/** One sentence that says what, one line that says how to mend it, and the exit code. */
function expectTold(outcome: CommandOutcome, code: number, what: RegExp): void {
  expect(outcome, outcome.stderr).toMatchObject({ code });
  const [sentence = "", ...more] = outcome.stderr.trimEnd().split("\n");
  expect(sentence).toMatch(what);
  expect(sentence.length).toBeLessThan(400);
  expect(
    more.filter((line) => line.startsWith("Remedy: ")),
    `a remedy after: ${outcome.stderr}`,
  ).toHaveLength(1);
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

function ask(method: string, path: string, body?: object | Buffer): Promise<Answer> {
  const bytes = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const headers = { "Content-Type": Buffer.isBuffer(body) ? "application/x-tar" : "application/json" };
  return new Promise((settle, reject) => {
    const asked = request({ socketPath: daemon.socket, method, path, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        const text = Buffer.concat(parts).toString("utf8");
        const last = text.trim().split("\n").at(-1) ?? "";
        settle({ status: response.statusCode ?? 0, text, body: last.startsWith("{") ? (JSON.parse(last) as Record<string, unknown>) : {} });
      });
    });
    asked.on("error", reject);
    asked.end(bytes);
  });
}

function expectAnswered(answer: Answer, status: number, code: string): void {
  expect(answer, answer.text).toMatchObject({
    status,
    body: { code, message: expect.stringMatching(/\S/), what: expect.stringMatching(/\S/), remedy: expect.stringMatching(/\S/) },
  });
}

const create = (changes: object, name?: string) =>
  ask("POST", `/containers/create${name === undefined ? "" : `?name=${name}`}`, { Image: "busybox", Cmd: ["true"], ...changes });

describe("an image", () => {
  it("that is not there", async () => {
    expectAnswered(await create({ Image: "no-such-image" }), 404, "NOT_FOUND");
    expectTold(await daemon.cli("run", "--rm", "--pull", "never", "no-such-image", "true"), 125, /no such image.*no-such-image/i);
    expectTold(await daemon.cli("rmi", "no-such-image"), 1, /no such image.*no-such-image/i);
    expectTold(await daemon.cli("pull", "localhost:1/none:1"), 1, /localhost:1/);
  });

  it("whose reference cannot be one", async () => {
    // Docker answers so as well: its client then pulls, and hears that the reference is none.
    expectAnswered(await create({ Image: "Bad//Reference" }), 404, "NOT_FOUND");
    expectAnswered(await ask("POST", "/images/create?fromImage=Bad//Reference"), 400, "INVALID_SPEC");
    expectTold(await daemon.cli("run", "--rm", "Bad//Reference", "true"), 125, /Bad\/\/Reference/);
    expectTold(await daemon.cli("tag", "busybox", "UPPER CASE"), 1, /UPPER CASE/);
  });

  // Before the first line about a layer, or where nobody asked for lines, a refusal is a status; later it is the last line, as Docker's always is.
  it.each<{ readonly is: string; readonly make: () => Promise<Buffer>; readonly status: number; readonly what: RegExp; readonly remedy?: string }>([
    {
      is: "corrupt",
      make: async () => Buffer.alloc(100_000, "this is no archive "),
      status: 400,
      what: /^the archive is not a whole tar archive: Invalid tar header\. .*$/,
    },
    {
      is: "truncated",
      make: async () => (await busyboxArchive()).subarray(0, 900_000),
      status: 200,
      what: /^the archive is not a whole tar archive: Unexpected end of data$/,
    },
    {
      is: "none of images",
      make: () => makeArchive([{ name: "file", bytes: "x" }]),
      status: 400,
      what: /^the archive has neither manifest\.json nor index\.json: it is no image archive$/,
      remedy: "a root filesystem is taken in by `bulkhead import`",
    },
    {
      is: "lying about its layer's digest",
      make: async () => makeImage("liar", await makeArchive([{ name: "file", bytes: "x".repeat(2000) }]), true),
      status: 400,
      what: /^the archive's blob [0-9a-f]{64} has another digest$/,
    },
    {
      is: "lying about a large layer's digest",
      make: async () => makeImage("liar", await makeArchive([{ name: "file", bytes: "x".repeat(2_000_000) }]), true),
      status: 200,
      what: /^the blob sha256:[0-9a-f]{64} has the digest sha256:[0-9a-f]{64}$/,
      remedy: "fetch it again; if that does not help, its source is damaged",
    },
  ])("archive that is $is", async ({ make, status, what, remedy = "fetch or make the archive again" }) => {
    const bytes = await make();
    const told = { code: "CORRUPT_DATA", what: expect.stringMatching(what) as unknown, remedy };
    const answer = await ask("POST", "/images/load", bytes);
    expect(answer, answer.text.slice(-400)).toMatchObject(status === 200 ? { status, body: { failure: told } } : { status, body: told });
    const quiet = await ask("POST", "/images/load?quiet=1", bytes);
    expect(quiet, quiet.text).toMatchObject({ status: 400, body: told });
    const file = join(daemon.root, "bad.tar");
    writeFileSync(file, bytes);
    const outcome = await daemon.cli("load", "-q", "-i", file);
    expect(outcome).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^bulkhead: [^\n]+\nRemedy: [^\n]+\n$/) as unknown });
    const [sentence = "", advice] = outcome.stderr.split("\n");
    expect(sentence.replace("bulkhead: ", "")).toMatch(what);
    expect(advice).toBe(`Remedy: ${remedy}`);
  });

  it.each([
    ["a path that leads out of it", [{ name: "../../../../../../../../tmp/escaped", bytes: "x" }]],
    [
      "a path through a link that leads out of it",
      [
        { name: "out", type: "symlink" as const, linkname: "../../../../../../../../../../tmp" },
        { name: "out/escaped", bytes: "x" },
      ],
    ],
  ])("with %s is kept within its own root", async (_, entries) => {
    const file = join(daemon.root, "bad.tar");
    writeFileSync(file, await makeImage("escapes", await makeArchive(entries)));
    const outcome = await daemon.cli("load", "-q", "-i", file);
    const found = await run("find", ["-P", join(daemon.root, "images/layers"), "-path", "*/tree/tmp/escaped"]);
    await daemon.cli("rmi", "-f", "escapes");
    expect(outcome).toEqual({ code: 0, stdout: "Loaded image: escapes:latest\n", stderr: "" });
    expect(found.stdout.trim().split("\n"), "it is where the path leads from the image's own root").toEqual([expect.stringMatching(/\S/)]);
    expect(existsSync("/tmp/escaped")).toBe(false);
  });
});

describe.each(["container", "microvm"])("a command behind %s", (isolation) => {
  it("that does not exist, or cannot run", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    for (const [command, exit, code] of [
      ["no-such-command", 127, "COMMAND_NOT_FOUND"],
      ["/etc/passwd", 126, "COMMAND_NOT_EXECUTABLE"],
    ] as const) {
      expectTold(await daemon.cli("run", "--rm", "--isolation", isolation, "busybox", command), exit, new RegExp(command));
      const { body } = await create({ Cmd: [command], HostConfig: { Isolation: isolation } });
      const started = await ask("POST", `/containers/${String(body["Id"])}/start`);
      await ask("DELETE", `/containers/${String(body["Id"])}?force=1`);
      expectAnswered(started, 400, code);
    }
  });

  it("with less memory than the boundary needs", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    const made = await create({ HostConfig: { Isolation: isolation, Memory: 1024 * 1024 } });
    const answer = made.status === 201 ? await ask("POST", `/containers/${String(made.body["Id"])}/start`) : made;
    if (made.status === 201) await ask("DELETE", `/containers/${String(made.body["Id"])}?force=1`);
    expectAnswered(answer, 400, "INVALID_SPEC");
    expectTold(await daemon.cli("run", "--rm", "--isolation", isolation, "--memory", "1m", "busybox", "true"), 125, /memory/i);
  });
});

describe.each(["container", "microvm"])("options that the kernel refuses behind %s", (isolation) => {
  it.for<[string, object]>([
    ["a bad value of a kernel parameter", { Sysctls: { "net.ipv4.ip_forward": "abc" } }],
    ["a kernel parameter that is not there", { Sysctls: { "net.foo.bar": "1" } }],
    ["a directory over a file", { Binds: ["/tmp:/bin/busybox"] }],
    ["a file over a directory", { Binds: ["/etc/hosts:/bin"] }],
    ["more open files than the kernel has", { Ulimits: [{ Name: "nofile", Soft: 1e12, Hard: 1e12 }] }],
  ])("%s: 400, what and what to do", async ([, host], context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    const made = await create({ HostConfig: { Isolation: isolation, ...host } });
    const id = String(made.body["Id"]);
    const answer = made.status === 201 ? await ask("POST", `/containers/${id}/start`) : made;
    if (made.status === 201) await ask("DELETE", `/containers/${id}?force=1`);
    expectAnswered(answer, 400, "INVALID_SPEC");
  });

  it("and a limit without limit reaches the command and its execs", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    // The kernel's default: lowering is not needed, so that no privilege of the host's is either.
    const words = ["--isolation", isolation, "--ulimit", "core=0:-1"];
    const read = "grep 'core file' /proc/self/limits | tr -s ' '";
    expect(await daemon.cli("run", "--rm", ...words, "busybox", "sh", "-c", read)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("size 0 unlimited") as unknown,
    });
    expect((await daemon.cli("run", "-d", "--name", "limited", ...words, "busybox", "sleep", "1000")).code).toBe(0);
    const inside = await daemon.cli("exec", "limited", "sh", "-c", read);
    await daemon.cli("rm", "-f", "limited");
    expect(inside).toMatchObject({ code: 0, stdout: expect.stringContaining("size 0 unlimited") as unknown });
  });
});

describe("what is taken", () => {
  it("a name", async () => {
    expect((await daemon.cli("create", "--name", "taken", "busybox")).code).toBe(0);
    const answer = await create({}, "taken");
    const outcome = await daemon.cli("run", "--rm", "--name", "taken", "busybox", "true");
    await daemon.cli("rm", "-f", "taken");
    expectAnswered(answer, 409, "ALREADY_EXISTS");
    expectTold(outcome, 125, /taken/);
  });

  it.for(["container", "microvm"])("a port, by another program or by another workload, behind %s", async (isolation, context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    const server = createServer().listen(0);
    await new Promise((settle) => server.once("listening", settle));
    const { port } = server.address() as { port: number };
    try {
      expectTold(await daemon.cli("run", "--rm", "--isolation", isolation, "-p", `${port}:80`, "busybox", "true"), 125, new RegExp(`${port}`));
    } finally {
      await new Promise((settle) => server.close(settle));
    }
    expect((await daemon.cli("run", "-d", "--name", "holder", "-p", `${port}:80`, "busybox", "sleep", "1000")).code).toBe(0);
    const made = await create({ HostConfig: { Isolation: isolation, PortBindings: { "80/tcp": [{ HostPort: `${port}` }] } } }, "second");
    const answer = made.status === 201 ? await ask("POST", "/containers/second/start") : made;
    await daemon.cli("rm", "-f", "holder", "second");
    expectAnswered(answer, 409, "ALREADY_EXISTS");
  });
});

describe("a boundary that the host lacks", () => {
  it.for(["gvisor", "wasm", "vm"])("%s is refused by name, and nothing weaker is taken", async (isolation, context) => {
    // What is there cannot be lacking: the driver's own tests take it away.
    if (!unusable.has(isolation)) return context.skip(`the probe says that ${isolation} runs here`);
    const answer = await create({ HostConfig: { Isolation: isolation } });
    expect(answer, answer.text).toMatchObject({
      status: expect.toSatisfy((status: number) => status === 501 || status === 503),
      body: { boundary: isolation },
    });
    expectTold(await daemon.cli("run", "--rm", "--isolation", isolation, "busybox", "true"), 125, new RegExp(isolation));
  });

  it("an unknown name, and two that differ, are refused", async () => {
    expectAnswered(await create({ HostConfig: { Isolation: "magic" } }), 400, "INVALID_SPEC");
    expectAnswered(await create({ HostConfig: { Isolation: "container", Runtime: "microvm" } }), 400, "INVALID_SPEC");
    expectTold(await daemon.cli("run", "--rm", "--isolation", "magic", "busybox", "true"), 125, /magic/);
  });
});
