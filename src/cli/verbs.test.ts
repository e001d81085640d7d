import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dockerFrame, ScriptedServer } from "../../sdk/src/testkit/scripted-server.ts";
import { BuiltCli } from "./testkit/built-cli.ts";
import { WORKLOAD } from "./testkit/workload.ts";

let cli: BuiltCli;
beforeAll(async () => {
  cli = await BuiltCli.build();
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

describe("images and archives", () => {
  it("lists tags, and digests where asked", async () => {
    const image = {
      Id: `sha256:${"ab".repeat(32)}`,
      RepoTags: ["localhost:5000/app:1", "app:2"],
      RepoDigests: [],
      Created: Math.floor(Date.now() / 1000) - 90,
      Size: 4261550,
      Labels: null,
    };
    await using server = await ScriptedServer.start({ "GET /images/json": { json: [image, { ...image, RepoTags: null }] } });
    const { stdout } = await cli.run(["images"], server);
    expect(stdout.split("\n").slice(0, 3)).toEqual([
      "REPOSITORY           TAG       IMAGE ID       CREATED              SIZE",
      "localhost:5000/app   1         abababababab   About a minute ago   4.26MB",
      "app                  2         abababababab   About a minute ago   4.26MB",
    ]);
    expect((await cli.run(["images", "-q"], server)).stdout).toBe("abababababab\n");
  });

  it("an image without a time of creation, or of the epoch, has no age: N/A, as docker says of no time", async () => {
    const image = { Id: `sha256:${"ab".repeat(32)}`, RepoTags: ["app:2"], RepoDigests: [], Created: 0, Size: 1, Labels: null };
    const step = { Id: image.Id, Created: 0, CreatedBy: "make", Size: 1, Comment: "", Tags: null };
    await using server = await ScriptedServer.start({
      "GET /images/json": { json: [image, { ...image, Created: -62135596800 }] },
      "GET /images/app/history": { json: [step] },
    });
    expect((await cli.run(["images"], server)).stdout).toMatch(/^app +2 +abababababab +N\/A +1B$/m);
    const format = ["--format", "{{.CreatedSince}} {{.CreatedAt}}"];
    expect((await cli.run(["images", ...format], server)).stdout).toBe("N/A N/A\nN/A N/A\n");
    expect((await cli.run(["history", "app", ...format], server)).stdout).toBe("N/A N/A\n");
  });

  it("loads from a file and from stdin, imports, and saves whole files or none", async () => {
    const directory = cli.scratch();
    const archive = join(directory, "a.tar");
    writeFileSync(archive, "archive bytes");
    await using server = await ScriptedServer.start({
      "POST /images/load": ({ body }) => ({ text: `{"stream":"Loaded image: ${body.length} bytes\\n"}\n` }),
      "POST /images/create": ({ query }) => ({ text: `{"status":"sha256:${query.get("repo")}:${query.get("tag")}"}\n` }),
      "GET /images/get": ({ query }) =>
        query.getAll("names").includes("gone") ? { status: 404, json: { message: "No such image: gone" } } : { text: "saved" },
    });
    expect((await cli.run(["load", "-i", archive], server)).stdout).toBe("Loaded image: 13 bytes\n");
    expect((await cli.run(["load", "-q"], { host: server.host, input: "abc" })).stdout).toBe("Loaded image: 3 bytes\n");
    expect((await cli.run(["import", archive, "my/base:1"], server)).stdout).toBe("sha256:my/base:1\n");
    expect((await cli.run(["load", "-i", join(directory, "nope")], server)).stderr).toContain("there is no such file");
    const target = join(directory, "out.tar");
    expect((await cli.run(["save", "-o", target, "x"], server)).code).toBe(0);
    expect(readFileSync(target, "utf8")).toBe("saved");
    expect((await cli.run(["save", "-o", join(directory, "none.tar"), "gone"], server)).code).toBe(1);
    expect(() => readFileSync(join(directory, "none.tar"))).toThrow();
  });

  it("fails when the daemon's progress says so, and sends credentials from the configuration", async () => {
    const directory = cli.scratch();
    writeFileSync(join(directory, "config.json"), JSON.stringify({ auths: { "localhost:5000": { auth: Buffer.from("me:secret").toString("base64") } } }));
    await using server = await ScriptedServer.start({
      "POST /images/create": {
        text: '{"status":"Pulling","id":"1"}\n{"error":"denied","errorDetail":{"message":"denied"},"failure":{"code":"UNAUTHENTICATED","message":"denied","remedy":"log in"}}\n',
      },
    });
    const outcome = await cli.run(["pull", "localhost:5000/app:1"], { host: server.host, environment: { DOCKER_CONFIG: directory } });
    expect(outcome).toMatchObject({ code: 1, stdout: "1: Pulling\n", stderr: "bulkhead: denied\nRemedy: log in\n" });
    const sent = JSON.parse(Buffer.from(String(server.asked[0]?.headers["x-registry-auth"]), "base64url").toString()) as object;
    expect(sent).toEqual({ username: "me", password: "secret", serveraddress: "localhost:5000" });
    expect(Object.fromEntries(server.asked[0]?.query ?? [])).toMatchObject({ fromImage: "localhost:5000/app", tag: "1" });
  });
});

describe("logs, stats, events, doctor", () => {
  it("logs keep the streams apart and ask as Docker does", async () => {
    await using server = await ScriptedServer.start({
      "GET /containers/web/json": { json: { Id: "abc", Config: { Tty: false } } },
      "GET /containers/abc/logs": { raw: (response) => void response.end(Buffer.concat([dockerFrame(1, "one\n"), dockerFrame(2, "two\n")])) },
    });
    expect(await cli.run(["logs", "-t", "-n", "5", "--since", "1700000000", "web"], server)).toMatchObject({ code: 0, stdout: "one\n", stderr: "two\n" });
    expect(Object.fromEntries(server.asked[1]?.query ?? [])).toMatchObject({ tail: "5", timestamps: "true", since: "1700000000", stdout: "true" });
  });

  it("stats are one reading with --no-stream", async () => {
    const reading = {
      read: "x",
      id: "abcdefabcdefabcdef",
      name: "/web",
      cpu_stats: { cpu_usage: { total_usage: 300 }, system_cpu_usage: 2000, online_cpus: 2 },
      precpu_stats: { cpu_usage: { total_usage: 100 }, system_cpu_usage: 1000 },
      memory_stats: { usage: 3 * 1024 ** 2, limit: 64 * 1024 ** 2, stats: { inactive_file: 1024 ** 2 } },
      pids_stats: { current: 4 },
      networks: { eth0: { rx_bytes: 1500, tx_bytes: 20 } },
    };
    await using server = await ScriptedServer.start({
      "GET /containers/json": { json: [WORKLOAD] },
      "GET /containers/*/stats": { text: `${JSON.stringify(reading)}\n` },
    });
    const { stdout } = await cli.run(["stats", "--no-stream", "--json"], server);
    expect(JSON.parse(stdout)).toMatchObject({ Name: "web", CPUPerc: "40.00%", MemUsage: "2MiB / 64MiB", MemPerc: "3.13%", NetIO: "1.5kB / 20B", PIDs: "4" });
  });

  it("events are lines, or JSON", async () => {
    const event = {
      Type: "container",
      Action: "start",
      Actor: { ID: "abc", Attributes: { name: "web", image: "busybox" } },
      time: 1_700_000_000,
      timeNano: 1_700_000_000_123_000_000,
    };
    await using server = await ScriptedServer.start({ "GET /events": { text: `${JSON.stringify(event)}\n` } });
    expect((await cli.run(["events"], server)).stdout).toBe("2023-11-14T22:13:20.123000000Z container start abc (image=busybox, name=web)\n");
    expect((await cli.run(["events", "--format", "{{.Action}} {{.Actor.Attributes.name}}"], server)).stdout).toBe("start web\n");
  });

  it("doctor marks levels, shows remedies, and fails only where nothing is usable", async () => {
    const probe = (usable: boolean): object => ({
      kind: "microvm",
      usable,
      identity: { kind: "microvm", engine: "qemu", version: "7.2", emulated: true, traits: [] },
      findings: [{ id: "kvm-boots", level: "missing", what: "no machine booted with KVM", remedy: "load kvm_intel" }],
      facets: [],
    });
    const host = { schemaVersion: 1, findings: [{ id: "kernel", level: "ok", what: "kernel 6.18" }] };
    await using server = await ScriptedServer.start({
      "GET /bulkhead/v1/doctor": { json: host },
      "GET /bulkhead/v1/probes": { json: { probes: [probe(true)] } },
    });
    const { code, stdout } = await cli.run(["doctor"], server);
    expect(code).toBe(0);
    expect(stdout).toBe(
      "host\n  ✓ kernel 6.18\nmicrovm (usable, qemu 7.2, emulated: not a security boundary)\n  ✗ no machine booted with KVM\n      Remedy: load kvm_intel\n\nUsable here: microvm\n",
    );
    expect(JSON.parse((await cli.run(["doctor", "--json"], server)).stdout)).toMatchObject({
      schemaVersion: 1,
      findings: [{ id: "kernel" }],
      boundaries: [{ kind: "microvm" }],
    });
    await using bare = await ScriptedServer.start({ "GET /bulkhead/v1/probes": { json: { probes: [probe(false)] } } });
    expect((await cli.run(["doctor"], bare)).code).toBe(1);
  });
});

describe("completion", () => {
  it("offers verbs, options, choices and names of the daemon's", async () => {
    await using server = await ScriptedServer.start({
      "GET /containers/json": { json: [WORKLOAD] },
      "GET /images/json": { json: [{ RepoTags: ["busybox:latest"] }] },
    });
    const ask = async (...words: string[]): Promise<string[]> => (await cli.run(["__complete", ...words], server)).stdout.trimEnd().split("\n");
    expect(await ask("ru")).toEqual(["run", ":words"]);
    expect(await ask("volume", "p")).toEqual(["prune", ":words"]);
    expect(await ask("run", "--iso")).toEqual(["--isolation", ":words"]);
    expect(await ask("run", "--isolation", "m")).toEqual(["microvm", ":words"]);
    expect(await ask("run", "--isolation=m")).toEqual(["--isolation=microvm", ":words"]);
    expect(await ask("run", "--rm", "bus")).toEqual(["busybox", "busybox:latest", ":words"]);
    expect(await ask("stop", "")).toEqual(["web", ":words"]);
    expect(await ask("load", "-i", "")).toEqual(["", ":files"].slice(1));
  });

  it("is a script that bash runs", async () => {
    await using server = await ScriptedServer.start({ "GET /containers/json": { json: [WORKLOAD] } });
    const script = (await cli.run(["completion", "bash"])).stdout;
    const line = `bulkhead() { '${process.execPath}' '${cli.program}' "$@"; }; ${script}
COMP_LINE='bulkhead stop w'; COMP_POINT=\${#COMP_LINE}; _bulkhead; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const file = join(cli.scratch(), "t.bash");
    writeFileSync(file, line);
    const outcome = await cli.startShell(`bash ${file}`, server).outcome;
    expect(outcome).toMatchObject({ code: 0, stdout: "web\n" });
    expect((await cli.run(["completion", "tcsh"])).code).toBe(125);
  });
});

describe("files that cannot be read or written", () => {
  const missing = "/nonexistent/file";
  it.each([
    [["policy", "test", missing], 1],
    [["policy", "check", "--policy-file", missing, "busybox"], 1],
    [["advise", "--requirements", missing], 1],
    [["advise", "--measurements", missing], 1],
    [["load", "-i", missing], 1],
    [["load", "-i", "/"], 1],
    [["import", missing, "x:1"], 1],
    [["save", "-o", missing, "busybox"], 1],
    [["run", "--env-file", missing, "busybox"], 125],
    [["create", "--label-file", missing, "busybox"], 125],
    [["create", "--cidfile", missing, "busybox"], 125],
    [["exec", "--env-file", missing, "web", "true"], 125],
    [["run", "--requirements", missing, "busybox"], 125],
  ])("%j: the file by its name, why, and what to do", async (words, code) => {
    await using server = await ScriptedServer.start({
      "HEAD /_ping": { text: "" },
      "GET /images/get": { text: "an archive" },
      "POST /containers/create": { json: { Id: "cd".repeat(32), Warnings: [] } },
    });
    const outcome = await cli.run(words, server);
    expect(outcome, outcome.stderr).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toMatch(/"\/(?:nonexistent\/file)?"|there already/);
    expect(outcome.stderr).not.toMatch(/ENOENT:|EISDIR:/);
    expect(outcome.stderr.trimEnd().split("\n").at(-1)).toMatch(/^Remedy: .{10}/);
  });
});
