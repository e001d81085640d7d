import type { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { CommandFailed } from "./commands.ts";
import { Client } from "./client.ts";
import { encodeFrame, FRAME_KIND } from "./frame.ts";
import { Sandbox } from "./sandbox.ts";
import { dockerFrame, readAll, ScriptedServer, type Asked, type Script } from "./testkit/scripted-server.ts";

interface FakeExec {
  readonly request: { readonly Cmd: readonly string[]; readonly Env: readonly string[] };
  readonly socket?: Duplex;
}

/** A daemon whose execs are answered by `act`. */
function sandboxScript(act: (words: readonly string[], socket: Duplex) => Promise<number | undefined>): Script {
  const execs: FakeExec[] = [];
  const codes: (number | undefined)[] = [];
  return {
    "HEAD /_ping": { text: "" },
    "POST /containers/create": { status: 201, json: { Id: "abc", Warnings: [] } },
    "POST /containers/*/start": { status: 204, text: "" },
    "DELETE /containers/*": { status: 204, text: "" },
    "POST /containers/*/exec": (asked: Asked) => {
      execs.push({ request: JSON.parse(asked.body) as FakeExec["request"] });
      return { status: 201, json: { Id: String(execs.length - 1) } };
    },
    "POST /exec/*/start": (asked: Asked) => ({
      upgrade: (socket) => {
        const number = Number(asked.path.split("/")[2]);
        void act(execs[number]?.request.Cmd ?? [], socket).then((code) => {
          codes[number] = code;
          socket.end();
        });
      },
    }),
    "GET /exec/*/json": (asked: Asked) => {
      const code = codes[Number(asked.path.split("/")[2])];
      return { json: { ID: "x", Running: code === undefined, ExitCode: code ?? null } };
    },
  };
}

describe("a sandbox", () => {
  it("runs commands: an exit code is a result, and with check it throws with the same fields", async () => {
    await using server = await ScriptedServer.start(
      sandboxScript(async (_words, socket) => {
        socket.write(dockerFrame(1, "out"));
        socket.write(dockerFrame(2, "sad\n"));
        return 3;
      }),
    );
    await using sandbox = await Sandbox.create({ image: "busybox", isolation: "microvm", host: server.host });
    const result = await sandbox.commands.run(["false"]);
    expect(result).toMatchObject({ exitCode: 3, stdout: "out", stderr: "sad\n" });
    await expect(sandbox.commands.run("false", { check: true })).rejects.toThrow(CommandFailed);
    await expect(sandbox.commands.run("false", { check: true })).rejects.toMatchObject({ result: { exitCode: 3 } });
    const created = JSON.parse(server.asked.find((one) => one.path === "/containers/create")?.body ?? "{}") as { HostConfig: object };
    expect(created.HostConfig).toMatchObject({ Isolation: "microvm", AutoRemove: true });
  });

  it("is ended and removed when it leaves its scope", async () => {
    await using server = await ScriptedServer.start(sandboxScript(() => Promise.resolve(0)));
    {
      await using sandbox = await Sandbox.create({ image: "busybox", host: server.host });
      expect(sandbox.id).toBe("abc");
    }
    expect(server.asked.at(-1)).toMatchObject({ method: "DELETE", path: "/containers/abc" });
    expect(server.asked.at(-1)?.query.get("force")).toBe("true");
  });

  it("leaves nothing behind when it cannot be started", async () => {
    await using server = await ScriptedServer.start({
      ...sandboxScript(() => Promise.resolve(0)),
      "POST /containers/*/start": { status: 503, json: { code: "UNAVAILABLE", what: "no KVM" } },
    });
    await expect(Sandbox.create({ image: "busybox", host: server.host })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(server.conversation.at(-1)).toBe("DELETE /containers/abc");
  });

  it("pulls a missing image once, and no image for another thing that is missing", async () => {
    let pulled = false;
    const script: Script = {
      ...sandboxScript(() => Promise.resolve(0)),
      "POST /containers/create": () =>
        pulled ? { status: 201, json: { Id: "abc" } } : { status: 404, json: { code: "NOT_FOUND", what: "No such image: busybox" } },
      "GET /images/busybox/json": () => (pulled ? { json: {} } : { status: 404, json: { message: "no" } }),
      "POST /images/create": () => {
        pulled = true;
        return { text: '{"status":"done"}\n' };
      },
    };
    await using server = await ScriptedServer.start(script);
    await using _sandbox = await Sandbox.create({ image: "busybox", host: server.host });
    expect(server.conversation.filter((line) => line === "POST /images/create")).toHaveLength(1);
    await using other = await ScriptedServer.start({
      "POST /containers/create": { status: 404, json: { code: "NOT_FOUND", what: "no such network" } },
      "GET /images/busybox/json": { json: {} },
    });
    await expect(Sandbox.create({ image: "busybox", host: other.host })).rejects.toMatchObject({ message: "no such network" });
  });

  it("kills a command at its own limit and says so; the sandbox lives on", async () => {
    let slow: Duplex | undefined;
    const script = sandboxScript(async (words, socket) => {
      if (words[0] !== "sleep") return 0;
      slow = socket;
      await new Promise((resolve) => socket.once("close", resolve));
      return 137;
    });
    const killed: string[] = [];
    await using server = await ScriptedServer.start({
      ...script,
      "POST /bulkhead/v1/execs/*/signal": (asked: Asked) => {
        killed.push(`${asked.path} ${asked.body}`);
        slow?.end();
        return { json: { delivered: true } };
      },
    });
    await using sandbox = await Sandbox.create({ image: "busybox", host: server.host });
    await expect(sandbox.commands.run(["sleep", "100"], { timeoutMs: 30 })).rejects.toMatchObject({
      code: "TIMED_OUT",
      message: expect.stringContaining("30 ms") as string,
    });
    expect(killed).toEqual(['/bulkhead/v1/execs/0/signal {"Signal":"SIGKILL"}']);
    expect((await sandbox.commands.run(["true"])).exitCode).toBe(0);
    expect(server.conversation).not.toContain("DELETE /containers/abc");
  });

  it("refuses limits of nothing: left out means none", async () => {
    await expect(Sandbox.create({ image: "x", lifetimeMs: 0 })).rejects.toMatchObject({ code: "INVALID_SPEC" });
  });

  it("does not wait for ever when the channel died under a running command", async () => {
    await using server = await ScriptedServer.start(sandboxScript(() => Promise.resolve(undefined)));
    await using sandbox = await Sandbox.create({ image: "busybox", host: server.host });
    await expect(sandbox.commands.run(["true"])).rejects.toMatchObject({ code: "CONNECTION_LOST", message: expect.stringContaining("still runs") as string });
  });

  it("writes and reads files as bytes, text only by readText", async () => {
    const files = new Map<string, string>();
    await using server = await ScriptedServer.start(
      sandboxScript(async (words, socket) => {
        const path = words.at(-1) ?? "";
        if (words[0] === "cat") {
          const content = files.get(path);
          socket.write(content === undefined ? dockerFrame(2, `cat: can't open '${path}': No such file or directory\n`) : dockerFrame(1, content));
          return content === undefined ? 1 : 0;
        }
        files.set(path, await readAll(socket));
        return 0;
      }),
    );
    await using sandbox = await Sandbox.create({ image: "busybox", host: server.host });
    await sandbox.files.write("/srv/a.txt", "grüezi");
    expect(await sandbox.files.readText("/srv/a.txt")).toBe("grüezi");
    expect(await sandbox.files.read("/srv/a.txt")).toEqual(Buffer.from("grüezi"));
    await expect(sandbox.files.read("/nope")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("the run of one round trip", () => {
  const message = (news: object): Buffer => encodeFrame(FRAME_KIND.message, Buffer.from(JSON.stringify(news)));

  it("gives output, then the status, and passes input and its end on", async () => {
    let heard: Promise<string> = Promise.resolve("");
    await using server = await ScriptedServer.start({
      "POST /bulkhead/v1/run": {
        upgrade: (socket) => {
          heard = new Promise((resolve) => {
            let bytes = "";
            socket.on("data", (part: Buffer) => {
              bytes += part.toString("latin1");
              if (!bytes.includes("\u0004")) return;
              resolve(bytes);
              socket.write(message({ event: "created", id: "abc", warnings: ["w"] }));
              socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from("hello")));
              socket.write(encodeFrame(FRAME_KIND.end, Uint8Array.of(2)));
              socket.end(message({ event: "exited", status: { code: 7, outOfMemory: false, at: "2026-01-01T00:00:00Z" } }));
            });
          });
        },
      },
    });
    const run = await new Client(server).run({ Image: "busybox" }, { name: "n" });
    await run.write(Buffer.from("in"));
    run.endInput();
    const output: string[] = [];
    for await (const { stream, bytes } of run.output) output.push(`${stream}:${Buffer.from(bytes).toString()}`);
    expect(output).toEqual(["stdout:hello"]);
    expect(await run.created).toEqual({ id: "abc", warnings: ["w"] });
    expect((await run.ended).code).toBe(7);
    expect(await heard).toContain("in");
    expect(server.asked[0]?.query.get("name")).toBe("n");
  });

  it("rejects with the daemon's failure, or says that the connection was lost", async () => {
    const failing = (last: Buffer): Script => ({ "POST /bulkhead/v1/run": { upgrade: (socket) => void socket.end(last) } });
    const failed = message({ event: "failed", failure: { code: "COMMAND_NOT_FOUND", what: "no such program: x" } });
    for (const [bytes, code] of [
      [failed, "COMMAND_NOT_FOUND"],
      [encodeFrame(FRAME_KIND.stdout, Buffer.from("a")), "CONNECTION_LOST"],
    ] as const) {
      await using server = await ScriptedServer.start(failing(bytes));
      const run = await new Client(server).run({ Image: "busybox" });
      for await (const _ of run.output);
      await expect(run.ended).rejects.toMatchObject({ code });
    }
  });
});
