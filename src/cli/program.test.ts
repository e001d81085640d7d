import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeFrame, FRAME_KIND } from "../../sdk/src/frame.ts";
import { dockerFrame, readAll, ScriptedServer, type Asked, type Script } from "../../sdk/src/testkit/scripted-server.ts";
import { BuiltCli } from "./testkit/built-cli.ts";
import { WORKLOAD } from "./testkit/workload.ts";

let cli: BuiltCli;
beforeAll(async () => {
  cli = await BuiltCli.build();
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

const PING: Script = { "HEAD /_ping": { text: "" } };
const message = (news: object): Buffer => encodeFrame(FRAME_KIND.message, Buffer.from(JSON.stringify(news)));
const exited = (code: number): Buffer => message({ event: "exited", status: { code, outOfMemory: false, at: "2026-01-01T00:00:00Z" } });

describe("without a daemon", () => {
  const host = "unix:///nonexistent/b.sock";
  it("every verb says where it looked and what to do, in two lines", async () => {
    const { code, stderr, stdout } = await cli.run(["ps"], { host });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe(
      "bulkhead: no Bulkhead daemon listens at unix:///nonexistent/b.sock\nRemedy: start one with `systemctl start bulkhead` or `bulkhead daemon`, or set BULKHEAD_HOST\n",
    );
    expect((await cli.run(["run", "busybox"], { host })).code).toBe(125);
  });

  it("version tells the client's and fails", async () => {
    const { code, stdout } = await cli.run(["version"], { host });
    expect(code).toBe(1);
    expect(stdout).toContain(" Version:    0.0.0-test");
    expect((await cli.run(["--version"], { host })).stdout).toBe("bulkhead version 0.0.0-test\n");
  });

  it("DOCKER_HOST is not obeyed", async () => {
    await using server = await ScriptedServer.start({ "GET /containers/json": { json: [] } });
    const { stderr } = await cli.run(["ps"], { host, environment: { DOCKER_HOST: server.host } });
    expect(stderr).toContain("unix:///nonexistent/b.sock");
    expect(server.asked).toEqual([]);
  });

  it.each([
    [["nope"], /there is no verb "nope"\n/],
    [["rnu", "busybox"], /there is no verb "rnu"; did you mean run\?/],
    [["policy", "nope"], /there is no verb "policy nope"\nRemedy: see `bulkhead policy --help`/],
    [["top", "web", "-o", "pid"], /unknown option -o/],
    [["import", "http://example.test/x.tar"], /does not fetch addresses\nRemedy: pipe it in/],
    [["run", "./nosuch.wasm"], /cannot read "\.\/nosuch\.wasm": there is no such file/],
    [["volume", "nope"], /there is no verb "volume nope"/],
    [["cp", "a", "b"], /must specify at least one container source\nRemedy: write WORKLOAD:PATH/],
    [["container", "cp", "a:/b", "c:/d"], /copying between containers is not supported\nRemedy: pipe it/],
    [["cp", "./nosuch", "web:/b"], /cannot read "\.\/nosuch": there is no such file/],
    [["cp", "web:/b", "/nosuch/directory/b"], /invalid output path: directory "\/nosuch\/directory" does not exist/],
    [["diff", "web"], /"diff" is not carried out/],
    [["network", "create", "mine"], /"network create" is not carried out\nRemedy: the networks are bridge, host and none/],
    [["build", "."], /"build" is not carried out/],
    [["run"], /run needs an argument/],
    [["ps", "x"], /ps does not take "x"/],
    [["run", "--memory", "much", "busybox"], /--memory takes a size/],
    [["run", "--nme", "x", "busybox"], /unknown option --nme; did you mean --name/],
    [["ps", "--format", "{{nope}}"], /no Bulkhead daemon|function "nope"/],
    [["--host", "tcp://1.2.3.4:1", "ps"], /is not a unix socket/],
  ])("%j is a mistake in the command line: a sentence and a remedy", async (words, pattern) => {
    const { code, stderr } = await cli.run(words, { host });
    expect(stderr).toMatch(pattern);
    expect(stderr).toContain("Remedy: ");
    expect([1, 125]).toContain(code);
  });

  it("help tells of every verb, of a group and of one verb with examples", async () => {
    expect((await cli.run([])).stdout).toContain("Workloads:");
    expect((await cli.run(["help"])).stdout).toContain("  doctor ");
    expect((await cli.run(["volume"])).stdout).toContain("prune");
    expect((await cli.run(["policy", "--help"])).stdout).toContain("check|show|test");
    const { stdout, code } = await cli.run(["run", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("-p, --publish [address:][port:]port[/proto]");
    expect(stdout).toContain("bulkhead run --rm --isolation microvm busybox uname -r");
  });
});

describe("version", () => {
  it("is answered quickly and fully by both ways", async () => {
    await using server = await ScriptedServer.start({
      "GET /version": { json: { Platform: { Name: "Bulkhead" }, Version: "1.2.3", ApiVersion: "1.47", Os: "linux", Arch: "amd64", KernelVersion: "6.1" } },
    });
    const quick = await cli.run(["version"], server);
    expect(quick.code).toBe(0);
    expect(quick.stdout).toContain("Server: Bulkhead\n Version:    1.2.3\n API:        1.47\n");
    expect((await cli.run(["--host", server.host, "version"])).stdout).toBe(quick.stdout);
    expect((await cli.run(["version", "-f", "{{.Server.Version}}"], server)).stdout).toBe("1.2.3\n");
    expect(JSON.parse((await cli.run(["version", "--json"], server)).stdout)).toMatchObject({
      Client: { Version: "0.0.0-test" },
      Server: { Version: "1.2.3" },
    });
  });
});

describe("ps", () => {
  it("shows tables, ids, templates and JSON", async () => {
    await using server = await ScriptedServer.start({ "GET /containers/json": { json: [WORKLOAD] } });
    const table = (await cli.run(["ps"], server)).stdout;
    expect(table).toBe(
      "CONTAINER ID   IMAGE     COMMAND                  CREATED       STATUS       PORTS                                 BOUNDARY             NAMES\n" +
        '0123456789ab   busybox   "httpd -f -h /www --…"   2 hours ago   Up 2 hours   9/udp, 0.0.0.0:8080-8081->80-81/tcp   microvm (emulated)   web\n'.replace(
          "     microvm",
          "     microvm",
        ),
    );
    expect((await cli.run(["ps", "-q"], server)).stdout).toBe("0123456789ab\n");
    expect((await cli.run(["ps", "--no-trunc", "-q"], server)).stdout).toBe(`${WORKLOAD.Id}\n`);
    expect((await cli.run(["container", "ls", "--format", '{{.Names}} {{.Label "team"}} {{upper .State}}'], server)).stdout).toBe("web red RUNNING\n");
    expect(JSON.parse((await cli.run(["ps", "--json"], server)).stdout)).toMatchObject({ ID: "0123456789ab", Names: "web", Boundary: "microvm (emulated)" });
    await cli.run(["ps", "-a", "-f", "name=web", "-f", "status=exited"], server);
    const asked = server.asked.at(-1)?.query;
    expect(asked?.get("all")).toBe("true");
    expect(JSON.parse(asked?.get("filters") ?? "")).toEqual({ name: ["web"], status: ["exited"] });
  });
});

describe("run", () => {
  const native = (act: (socket: Duplex, asked: Asked) => void): Script => ({ ...PING, "POST /bulkhead/v1/run": { upgrade: act } });

  it("is one round trip with both outputs and the workload's exit code", async () => {
    await using server = await ScriptedServer.start(
      native((socket) => {
        socket.write(message({ event: "created", id: "abc", warnings: ["little memory"] }));
        socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from("out\n")));
        socket.write(encodeFrame(FRAME_KIND.stderr, Buffer.from("err\n")));
        socket.end(exited(7));
      }),
    );
    const outcome = await cli.run(["run", "--rm", "--name", "n", "--isolation", "microvm", "busybox", "sh", "-c", "exit 7"], server);
    expect(outcome).toMatchObject({ code: 7, stdout: "out\n" });
    expect(outcome.stderr).toContain("err\n");
    expect(outcome.stderr).toContain("WARNING: little memory\n");
    expect(server.conversation).toEqual(["POST /bulkhead/v1/run"]);
    expect(JSON.parse(server.asked[0]?.body ?? "")).toMatchObject({
      Image: "busybox",
      Cmd: ["sh", "-c", "exit 7"],
      HostConfig: { AutoRemove: true, Isolation: "microvm" },
    });
  });

  it.each([
    ["COMMAND_NOT_FOUND", 127],
    ["COMMAND_NOT_EXECUTABLE", 126],
    ["UNAVAILABLE", 125],
  ])("gives %s as Docker's exit code %d, with the remedy", async (code, expected) => {
    await using server = await ScriptedServer.start(
      native((socket) => void socket.end(message({ event: "failed", failure: { code, what: "it went wrong", remedy: "do better" } }))),
    );
    const outcome = await cli.run(["run", "busybox", "x"], server);
    expect(outcome).toMatchObject({ code: expected, stderr: "bulkhead: it went wrong\nRemedy: do better\n" });
  });

  it("passes input and its end on with -i", async () => {
    await using server = await ScriptedServer.start(
      native((socket) => {
        let text = "";
        socket.on("data", (part: Buffer) => {
          text += part.toString("latin1");
          // The end frame: kind 4, one byte, for stdin.
          if (!text.includes("\u0001\u0000\u0000\u0000\u0004")) return;
          socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from(text.includes("typed") ? "heard\n" : "?")));
          socket.end(exited(0));
        });
      }),
    );
    expect(await cli.run(["run", "-i", "busybox", "cat"], { host: server.host, input: "typed" })).toMatchObject({ code: 0, stdout: "heard\n" });
  });

  it("proxies signals to the workload and ends with its exit code", async () => {
    await using server = await ScriptedServer.start(
      native((socket) => {
        socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from("ready\n")));
        socket.on("data", (part: Buffer) => {
          if (part.toString("latin1").includes('"signal":"SIGTERM"')) socket.end(exited(143));
        });
      }),
    );
    const running = cli.start(["run", "busybox", "sleep", "9"], server);
    await running.shown("ready");
    running.kill("SIGTERM");
    expect((await running.outcome).code).toBe(143);
  });

  it("fetches a missing image and tries again; never does not", async () => {
    let pulled = false;
    const missing = { status: 404, json: { code: "NOT_FOUND", what: "No such image: busybox:latest", remedy: "pull it" } };
    await using server = await ScriptedServer.start({
      ...PING,
      "POST /bulkhead/v1/run": () =>
        pulled
          ? {
              upgrade: (socket) => {
                socket.end(exited(0));
              },
            }
          : missing,
      "GET /images/busybox/json": () => (pulled ? { json: {} } : missing),
      "POST /images/create": () => {
        pulled = true;
        return { text: '{"status":"Pulling from busybox","id":"latest"}\n{"status":"Status: Downloaded"}\n' };
      },
    });
    expect(await cli.run(["run", "--pull", "never", "busybox"], server)).toMatchObject({ code: 125 });
    const outcome = await cli.run(["run", "busybox"], server);
    expect(outcome).toMatchObject({ code: 0, stdout: "" });
    expect(outcome.stderr).toBe("Unable to find image 'busybox' locally\nlatest: Pulling from busybox\nStatus: Downloaded\n");
  });

  it("in the background prints the id and joins nothing; --cidfile keeps it", async () => {
    const directory = cli.scratch();
    const file = join(directory, "id");
    await using server = await ScriptedServer.start({
      "POST /containers/create": { status: 201, json: { Id: "abc", Warnings: null } },
      "POST /containers/*/start": { status: 204, text: "" },
    });
    expect(await cli.run(["run", "-d", "--cidfile", file, "busybox"], server)).toMatchObject({ code: 0, stdout: "abc\n" });
    expect(readFileSync(file, "utf8")).toBe("abc");
    expect(server.conversation).toEqual(["POST /containers/create", "POST /containers/abc/start"]);
  });

  it("speaks Docker's conversation with a server that has no native part: attach and wait before start", async () => {
    let finish: () => void = () => undefined;
    await using server = await ScriptedServer.start({
      "POST /containers/create": { status: 201, json: { Id: "abc", Warnings: [] } },
      "POST /containers/*/attach": {
        upgrade: (socket) => {
          finish = () => socket.end(dockerFrame(1, "hello\n"));
        },
      },
      "POST /containers/*/wait": {
        raw: (response) => {
          response.writeHead(200);
          response.flushHeaders();
          setTimeout(() => response.end('{"StatusCode":3}'), 30);
        },
      },
      "POST /containers/*/start": () => {
        finish();
        return { status: 204, text: "" };
      },
    });
    expect(await cli.run(["run", "--rm", "busybox"], server)).toMatchObject({ code: 3, stdout: "hello\n" });
    expect(server.conversation.slice(1)).toEqual([
      "POST /containers/create",
      "POST /containers/abc/attach",
      "POST /containers/abc/wait",
      "POST /containers/abc/start",
    ]);
    expect(server.asked.find((one) => one.path.endsWith("/wait"))?.query.get("condition")).toBe("removed");
  });

  it("refuses a terminal that is fed from a pipe", async () => {
    const { code, stderr } = await cli.run(["run", "-it", "busybox"], { host: "unix:///nonexistent/x" });
    expect(stderr).toContain("cannot attach stdin to a terminal");
    expect(code).toBe(1);
  });
});

describe("exec", () => {
  it("half-closes, keeps the outputs apart, and gives the command's exit code", async () => {
    await using server = await ScriptedServer.start({
      "POST /containers/web/exec": { status: 201, json: { Id: "e1" } },
      "POST /exec/e1/start": {
        upgrade: (socket) => {
          void readAll(socket).then((text) => socket.end(Buffer.concat([dockerFrame(1, text.toUpperCase()), dockerFrame(2, "e")])));
        },
      },
      "GET /exec/e1/json": { json: { ID: "e1", Running: false, ExitCode: 9 } },
    });
    expect(await cli.run(["exec", "-i", "-e", "A=1", "-u", "5", "web", "tr", "-s", "x"], { host: server.host, input: "abc" })).toMatchObject({
      code: 9,
      stdout: "ABC",
      stderr: "e",
    });
    expect(JSON.parse(server.asked[0]?.body ?? "")).toMatchObject({ Cmd: ["tr", "-s", "x"], Env: ["A=1"], User: "5", AttachStdin: true });
  });

  it.each([
    ["a workload that is missing", ["exec", "gone", "true"], "NOT_FOUND"],
    ["one that does not run", ["exec", "stopped", "true"], "WRONG_STATE"],
    ["a terminal that is none", ["exec", "-it", "web", "true"], undefined],
  ])("gives 1 for %s, as docker's does, with a remedy", async (_, words, code) => {
    const refused = { status: code === "NOT_FOUND" ? 404 : 409, json: { message: "it cannot be", code, what: "it cannot be", remedy: "do better" } };
    await using server = await ScriptedServer.start({ ...PING, [`POST /containers/${words[1]}/exec`]: refused });
    const outcome = await cli.run(words, server);
    expect(outcome).toMatchObject({ code: 1, stdout: "" });
    expect(outcome.stderr).toMatch(/\nRemedy: .+\n$/);
  });

  it("gives 127 where there is no such command", async () => {
    await using server = await ScriptedServer.start({
      "POST /containers/web/exec": { status: 201, json: { Id: "e1" } },
      "POST /exec/e1/start": { status: 400, json: { code: "COMMAND_NOT_FOUND", what: "no such program: x" } },
    });
    expect(await cli.run(["exec", "web", "x"], server)).toMatchObject({ code: 127, stderr: "bulkhead: no such program: x\n" });
  });
});

describe("verbs on many workloads", () => {
  it("print what succeeded, tell what did not, and fail at the end", async () => {
    await using server = await ScriptedServer.start({
      ...PING,
      "DELETE /containers/*": ({ path }) =>
        path.endsWith("/bad") ? { status: 409, json: { code: "WRONG_STATE", what: "bad runs", remedy: "stop it, or say -f" } } : { status: 204, text: "" },
    });
    expect(await cli.run(["rm", "a", "bad", "c"], server)).toEqual({
      code: 1,
      signal: null,
      stdout: "a\nc\n",
      stderr: "bulkhead: bad runs\nRemedy: stop it, or say -f\n",
    });
  });

  it("are refused on a server that is not Bulkhead", async () => {
    await using server = await ScriptedServer.start(
      { ...PING, "GET /version": { json: { Platform: { Name: "Docker" }, Version: "28", ApiVersion: "1.48" } } },
      { serverHeader: "Docker/28" },
    );
    for (const words of [
      ["rm", "-f", "a"],
      ["stop", "a"],
      ["kill", "a"],
      ["rmi", "a"],
      ["system", "prune", "-f"],
      ["system", "reset", "-f"],
    ]) {
      const { code, stderr } = await cli.run(words, server);
      expect(code).toBe(1);
      expect(stderr).toContain("is not Bulkhead");
    }
    expect(server.conversation.every((line) => line.startsWith("HEAD") || line.startsWith("GET /version"))).toBe(true);
  });

  it("that destroy much ask first, and refuse to guess where nobody can answer", async () => {
    await using server = await ScriptedServer.start(PING);
    const { code, stderr } = await cli.run(["system", "prune"], server);
    expect(code).toBe(125);
    expect(stderr).toContain("say --force");
  });
});

describe("port", () => {
  it("tells where each port is published, or one of them", async () => {
    const Ports = { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "53/udp": [{ HostIp: "::1", HostPort: "5353" }], "90/tcp": null };
    await using server = await ScriptedServer.start({ "GET /containers/web/json": { json: { Id: "w", Name: "/web", NetworkSettings: { Ports } } } });
    expect((await cli.run(["port", "web"], server)).stdout).toBe("80/tcp -> 0.0.0.0:8080\n53/udp -> [::1]:5353\n");
    expect((await cli.run(["container", "port", "web", "80"], server)).stdout).toBe("0.0.0.0:8080\n");
    expect(await cli.run(["port", "web", "90/tcp"], server)).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining('no port "90/tcp" of web') });
  });
});

describe("what a workload names itself", () => {
  const evil = "\u001b[2J\u001b]0;owned\u0007\r\nroot\u009b31m";
  const shown = "\\x1b[2J\\x1b]0;owned\\x07\\x0d\\x0aroot\\x9b31m";

  it("cannot move the cursor in top and ps, and is whole in JSON", async () => {
    await using server = await ScriptedServer.start({
      "GET /containers/web/top": { json: { Titles: ["PID", "CMD"], Processes: [["1", evil]] } },
      "GET /containers/json": { json: [{ ...WORKLOAD, Image: evil }] },
    });
    expect((await cli.run(["top", "web"], server)).stdout).toBe(`PID       CMD\n1         ${shown}\n`);
    expect(JSON.parse((await cli.run(["top", "--json", "web"], server)).stdout)).toMatchObject({ Processes: [["1", evil]] });
    const { stdout } = await cli.run(["ps"], server);
    expect(stdout).toContain(shown);
    // oxlint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe("inspect", () => {
  it("finds workloads, images, volumes and networks, and renders templates", async () => {
    await using server = await ScriptedServer.start({
      "GET /containers/web/json": { json: { Id: "abc", State: { Status: "running" }, Boundary: WORKLOAD.Boundary } },
      "GET /images/busybox/json": { json: { Id: "sha256:1" } },
    });
    expect((await cli.run(["inspect", "-f", "{{.Boundary.kind}} {{.State.Status}}", "web"], server)).stdout).toBe("microvm running\n");
    const both = await cli.run(["inspect", "web", "busybox", "nope"], server);
    expect((JSON.parse(both.stdout) as { Id: string }[]).map((one) => one.Id)).toEqual(["abc", "sha256:1"]);
    expect(both.stderr).toContain('there is no workload, image, volume or network "nope"');
    expect(both.code).toBe(1);
    expect((await cli.run(["inspect", "--type", "image", "web"], server)).code).toBe(1);
  });
});
