/** The stock client against the real daemon, on the boundaries that it names by `--runtime`: every verb that it needs for a life. */

import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { run, TestDaemon } from "../harness/daemon.ts";
import { findUnusable } from "../integration/chaos/inhabitants.ts";
import { findClientVersion } from "./stock-client.ts";

const version = findClientVersion();
if (version === undefined) console.log("skipped: no docker client on PATH");

describe.skipIf(version === undefined || process.getuid?.() !== 0)("the stock client on real boundaries", () => {
  let daemon: TestDaemon;
  let unusable: ReadonlyMap<string, string>;
  beforeAll(async () => {
    daemon = await TestDaemon.open();
    unusable = await findUnusable(daemon);
  });
  afterAll(() => daemon.close());
  afterEach(() => daemon.docker("rm", "-f", "web"));

  const said = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await daemon.docker(...words);
    expect(code, `docker ${words.join(" ")}: ${stderr}`).toBe(0);
    return stdout.trim();
  };
  /** At a terminal of its own. */
  const typed = async (command: string, input: string) =>
    (await run("script", ["-qefc", `docker -H ${daemon.host} ${command}`, "/dev/null"], {}, { input })).stdout;

  it.for(["container", "microvm"])("lives with a workload behind %s", async (runtime, context) => {
    if (unusable.has(runtime)) return context.skip(unusable.get(runtime));
    const kernel = await said("run", "--rm", "--runtime", runtime, "busybox", "uname", "-r");
    expect(kernel === (await run("uname", ["-r"])).stdout.trim()).toBe(runtime === "container");
    const words = ["-d", "--name", "web", "-p", "127.0.0.1:0:80", "--memory", "64m", "--cpus", "0.5", "--runtime", runtime];
    const id = await said("run", ...words, "busybox", "sh", "-c", "echo ready; exec httpd -f -h /www");
    expect(await said("inspect", "-f", "{{.HostConfig.Runtime}} {{.State.Running}}", "web")).toBe(`${runtime} true`);
    expect(await said("exec", "web", "cat", "/www/index.html")).toContain("It works");
    expect((await daemon.docker("exec", "web", "sh", "-c", "exit 9")).code).toBe(9);
    expect(await typed("exec -it web sh", "tty; exit\n")).toMatch(/\/dev\/(pts|console)/);
    const address = (await said("port", "web", "80")).split("\n")[0];
    await expect.poll(async () => (await fetch(`http://${address}/`)).text()).toContain("It works");
    expect(await said("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "web")).toMatch(/^web [1-9]/);
    expect(await said("top", "web")).toContain("httpd");
    await said("stop", "-t", "1", "web");
    expect(await said("ps", "-a", "--format", "{{.Names}} {{.State}}")).toBe("web exited");
    await said("start", "web");
    await expect.poll(() => said("logs", "web"), { timeout: 20_000 }).toBe("ready\nready");
    await said("kill", "web");
    expect(await said("wait", "web")).toBe("137");
    expect(await said("logs", "-f", "web")).toBe("ready\nready");
    // The client cuts the instant of its --until to whole seconds.
    const told = async () => (await said("events", "--since", "0", "--until", "0s", "--filter", `container=${id}`, "--format", "{{.Action}}")).split("\n");
    await expect.poll(told, { timeout: 20_000, interval: 300 }).toEqual(expect.arrayContaining(["create", "start", "die", "stop", "kill"]));
    await said("rm", "web");
  });

  it.for(["container", "microvm"])("runs at a terminal and passes input through behind %s", async (runtime, context) => {
    if (unusable.has(runtime)) return context.skip(unusable.get(runtime));
    expect(await typed(`run --rm -it --runtime ${runtime} busybox tty`, "")).toMatch(/\/dev\/(pts|console)/);
    const { stdout } = await run(
      "docker",
      ["-H", daemon.host, "run", "--rm", "-i", "--runtime", runtime, "busybox", "wc", "-c"],
      {},
      { input: "x".repeat(300_000) },
    );
    expect(stdout.trim()).toBe("300000");
    for (const [command, code] of [
      ["no-such-command", 127],
      ["/etc/passwd", 126],
    ] as const)
      expect((await daemon.docker("run", "--rm", "--runtime", runtime, "busybox", command)).code).toBe(code);
  });

  it.for(["container", "microvm"])(
    "copies files behind %s: of what was created, runs and has ended, by docker's client and by ours",
    async (runtime, context) => {
      if (unusable.has(runtime)) return context.skip(unusable.get(runtime));
      const at = (...parts: string[]) => join(daemon.root, `cp-${runtime}`, ...parts);
      mkdirSync(at("tree/deep"), { recursive: true });
      writeFileSync(at("tree/deep/plain"), "what is in it");
      symlinkSync("deep/plain", at("tree/way"));
      await said("create", "--name", "web", "--runtime", runtime, "busybox", "sh", "-c", "cat /tmp/created/way; exec sleep 1000");
      const ours = async (...words: string[]) => expect(await daemon.cli("cp", ...words), words.join(" ")).toMatchObject({ code: 0, stderr: "" });
      for (const state of ["created", "running", "exited"]) {
        if (state === "running") await said("start", "web");
        if (state === "exited") await said("stop", "-t", "0", "web");
        await said("cp", "-q", at("tree"), `web:/tmp/${state}`);
        await ours(`web:/tmp/${state}`, at(state));
        await ours(at("tree/deep/plain"), `web:/tmp/${state}/renamed`);
        await said("cp", "-q", `web:/tmp/${state}/renamed`, at(state));
        expect(readdirSync(at(state)).sort()).toEqual(["deep", "renamed", "way"]);
        expect([readFileSync(at(state, "renamed"), "utf8"), readFileSync(at(state, "way"), "utf8")]).toEqual(["what is in it", "what is in it"]);
        expect((await run("sh", ["-c", `docker -H ${daemon.host} cp web:/tmp/${state}/. - | tar -t`])).stdout).toContain("./deep/plain");
        expect(await said("ps", "-a", "--format", "{{.Names}} {{.State}}")).toBe(`web ${state}`);
      }
      expect(await said("logs", "web")).toBe("what is in it");
      await said("rm", "web");
      // Images without a program are what files are copied out of most.
      await said("create", "--name", "web", "--runtime", runtime, "busybox", "/no/such/command");
      await said("cp", "-q", "web:/etc/passwd", at("passwd"));
      expect(readFileSync(at("passwd"), "utf8")).toContain("root:");
    },
  );

  it("saves, loads, tags and removes images, and tells of the daemon", async () => {
    const archive = join(daemon.root, "saved.tar");
    await said("tag", "busybox", "kept:1");
    await said("save", "-o", archive, "kept:1");
    expect(existsSync(archive)).toBe(true);
    await said("rmi", "kept:1");
    expect(await said("load", "-i", archive)).toContain("kept:1");
    expect(await said("images", "--format", "{{.Repository}}:{{.Tag}}", "kept")).toBe("kept:1");
    await said("rmi", "kept:1");
    expect(await said("version", "-f", "{{.Server.Platform.Name}}")).toBe("Bulkhead");
    expect(await said("info", "-f", "{{json .Runtimes}}")).toContain("container");
  });
});
