import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeFrame, FRAME_KIND } from "../../sdk/src/frame.ts";
import { ScriptedServer, type Asked, type Script } from "../../sdk/src/testkit/scripted-server.ts";
import { BuiltCli, quoteWord } from "./testkit/built-cli.ts";

let cli: BuiltCli;
beforeAll(async () => {
  cli = await BuiltCli.build();
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

const exited = (code: number): Buffer =>
  encodeFrame(FRAME_KIND.message, Buffer.from(JSON.stringify({ event: "exited", status: { code, outOfMemory: false, at: "2026-01-01T00:00:00Z" } })));

/** A shell of a kind: it shows what it hears in hex, and ends on Ctrl-D. */
function terminalScript(heard: string[], asked: Asked[] = []): Script {
  return {
    "POST /bulkhead/v1/run": (request) => {
      asked.push(request);
      return {
        upgrade: (socket) => {
          socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from("prompt$ ")));
          socket.on("data", (part: Buffer) => {
            heard.push(part.toString("latin1"));
            if (part.includes(4, 9)) socket.end(exited(5));
            else socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from(`<${part.subarray(9).toString("hex")}>`)));
          });
        },
      };
    },
  };
}

function line(words: readonly string[]): string {
  return [process.execPath, cli.program, ...words].map(quoteWord).join(" ");
}

describe("a terminal", () => {
  it("passes every key, Ctrl-C included, and is taken back to what it was", async () => {
    const heard: string[] = [];
    await using server = await ScriptedServer.start(terminalScript(heard));
    const running = cli.startShell(`${line(["run", "-it", "busybox", "sh"])}; echo "code=$?"; stty -a`, { host: server.host, terminal: true });
    await running.shown("prompt$ ");
    running.type("a");
    await running.shown("<61>");
    running.type("\u0003");
    await running.shown("<03>");
    running.type("\u0004");
    await running.shown("iexten");
    running.endInput();
    const { stdout } = await running.outcome;
    expect(stdout).toContain("code=5");
    expect(stdout).toMatch(/[^-]icanon/);
    expect(stdout).toMatch(/[^-]echo /);
  });

  it("is let go of by ctrl-p ctrl-q, and the workload is left alone", async () => {
    const heard: string[] = [];
    await using server = await ScriptedServer.start(terminalScript(heard));
    const running = cli.startShell(`${line(["run", "-it", "busybox", "sh"])}; echo "code=$?"`, { host: server.host, terminal: true });
    await running.shown("prompt$ ");
    running.type("b\u0010");
    await running.shown("<62>");
    running.type("\u0011");
    await running.shown("code=0");
    running.endInput();
    await running.outcome;
    expect(heard.join("")).not.toContain("\u0010");
    expect(server.conversation).toEqual(["POST /bulkhead/v1/run"]);
  });

  it("tells its size at the beginning and whenever it changes", async () => {
    const heard: string[] = [];
    const asked: Asked[] = [];
    await using server = await ScriptedServer.start(terminalScript(heard, asked));
    const running = cli.startShell(`stty rows 33 cols 99; (sleep 0.7; stty rows 40 cols 120 </dev/tty) & ${line(["run", "-it", "busybox", "sh"])}`, {
      host: server.host,
      terminal: true,
    });
    await running.shown("prompt$ ");
    await expect.poll(() => heard.join(""), { timeout: 5000 }).toContain('{"verb":"resize","rows":40,"columns":120}');
    expect((JSON.parse(asked[0]?.body ?? "") as { HostConfig: object }).HostConfig).toMatchObject({ ConsoleSize: [33, 99] });
    running.type("\u0004");
    running.endInput();
    await running.outcome;
  });

  it("is taken back as well when the program is told to end, and when the connection dies", async () => {
    await using server = await ScriptedServer.start({
      "POST /bulkhead/v1/run": {
        upgrade: (socket) => {
          socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from("prompt$ ")));
          setTimeout(() => socket.destroy(), 150);
        },
      },
    });
    const running = cli.startShell(`${line(["run", "-it", "busybox", "sh"])}; echo "code=$?"; stty -a`, { host: server.host, terminal: true });
    await running.shown("iexten");
    running.endInput();
    const { stdout } = await running.outcome;
    expect(stdout).toContain("code=125");
    expect(stdout).toContain("the daemon closed the connection");
    expect(stdout).toMatch(/[^-]icanon/);
    await using silent = await ScriptedServer.start({
      "POST /bulkhead/v1/run": { upgrade: (socket) => void socket.write(encodeFrame(FRAME_KIND.stdout, Buffer.from("prompt$ "))) },
    });
    const told = cli.startShell(`timeout --foreground -s TERM 1 ${line(["run", "--sig-proxy=false", "-it", "busybox", "sh"])}; stty -a`, {
      host: silent.host,
      terminal: true,
    });
    await told.shown("iexten");
    told.endInput();
    expect((await told.outcome).stdout).toMatch(/[^-]icanon/);
  });

  it("shows colours and moving progress, elsewhere neither, and NO_COLOR is obeyed", async () => {
    const script: Script = {
      "POST /images/create": {
        text: '{"status":"Waiting","id":"aaa"}\n{"status":"Downloading","id":"aaa","progressDetail":{"current":5,"total":10}}\n{"status":"Pull complete","id":"aaa"}\n',
      },
    };
    await using server = await ScriptedServer.start(script);
    const running = cli.startShell(line(["pull", "app:1"]), { host: server.host, terminal: true });
    running.endInput();
    const inTerminal = (await running.outcome).stdout;
    expect(inTerminal).toContain("\u001b[1A");
    expect(inTerminal).toContain("5B/10B");
    const plain = (await cli.run(["pull", "app:1"], server)).stdout;
    expect(plain).toBe("aaa: Waiting\naaa: Downloading\naaa: Pull complete\napp:1\n");
    const uncoloured = cli.startShell(line(["pull", "app:1"]), { host: server.host, terminal: true, environment: { NO_COLOR: "1" } });
    uncoloured.endInput();
    expect((await uncoloured.outcome).stdout).not.toContain("\u001b");
  });
});

describe("stop", () => {
  /** Answers a while after it was asked, when it is told to. */
  const slow = () => {
    const released = Promise.withResolvers<void>();
    const script: Script = {
      "HEAD /_ping": { text: "" },
      "POST /containers/web/stop": { raw: (response) => void released.promise.then(() => response.writeHead(204).end()) },
    };
    return { script, end: () => released.resolve() };
  };

  it("says on a terminal what it waits for, and the name at the end", async () => {
    const { script, end } = slow();
    await using server = await ScriptedServer.start(script);
    const running = cli.start(["stop", "-t", "7", "web"], { host: server.host, terminal: true });
    await running.shown("web has been asked to end; it is killed 7 s after that");
    end();
    expect(await running.outcome).toMatchObject({ code: 0, stdout: expect.stringMatching(/\nweb\r\n$/) as unknown });
  });

  it("ends at Ctrl-C, and the daemon goes on", async () => {
    const { script } = slow();
    await using server = await ScriptedServer.start(script);
    const running = cli.start(["stop", "web"], { host: server.host, terminal: true });
    await running.shown("has been asked to end");
    running.type("\u0003");
    expect((await running.outcome).code).toBe(130);
  });

  it("says nothing but the name where no terminal is", async () => {
    const { script, end } = slow();
    await using server = await ScriptedServer.start(script);
    const running = cli.start(["stop", "web"], { host: server.host });
    await expect.poll(() => server.asked.some(({ path }) => path.endsWith("/stop"))).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    end();
    expect(await running.outcome).toMatchObject({ code: 0, stdout: "web\n", stderr: "" });
  });
});
