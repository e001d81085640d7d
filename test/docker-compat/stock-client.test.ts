import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startFakeDaemon, type FakeDaemon } from "../../src/api/testkit/fake-daemon.ts";
import { exitOf, findClientVersion, StockClient, untilPrints } from "./stock-client.ts";

const version = findClientVersion();
if (version === undefined) console.log("note: no docker client on PATH; its conversations are covered byte by byte in src/api");

describe.skipIf(version === undefined)("the stock docker client against the API over the fake driver", () => {
  let daemon: FakeDaemon;
  let client: StockClient;
  const docker = (...words: string[]) => client.run(words);
  beforeAll(async () => {
    daemon = await startFakeDaemon();
    client = new StockClient(daemon.socket);
  });
  afterAll(async () => {
    client.dispose();
    await daemon.close();
  });

  it("runs and removes, with the workload's own output on both streams and its exit code", async () => {
    expect(await docker("run", "--rm", "busybox", "echo", "hello")).toEqual({ code: 0, stdout: "hello\n", stderr: "" });
    expect(await docker("run", "--rm", "busybox", "print", "stderr", "oops")).toEqual({ code: 0, stdout: "", stderr: "oops" });
    expect((await docker("run", "--rm", "busybox", "exit", "7")).code).toBe(7);
    expect((await docker("ps", "-aq")).stdout).toBe("");
  });

  it("exits 127 for a command that is not there, 125 for what the daemon refuses", async () => {
    const missing = await docker("run", "--rm", "busybox", "nope");
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain("executable file not found");
    expect(missing.stderr).not.toContain("level=error");
    expect((await docker("run", "--rm", "--runtime", "bogus", "busybox")).code).toBe(125);
    const lacking = await docker("run", "--rm", "--runtime", "microvm", "busybox");
    expect([lacking.code, lacking.stderr]).toEqual([125, expect.stringContaining("Enable virtualisation.")]);
  });

  it("pipes input through, megabytes of it, to its end", async () => {
    const input = "0123456789abcdef".repeat(256 * 1024);
    expect((await client.run(["run", "--rm", "-i", "busybox", "count"], input)).stdout).toBe(`${input.length}\n`);
    expect((await client.run(["run", "--rm", "-i", "busybox", "cat"], input)).stdout).toBe(input);
  });

  it("gives a terminal its size, and detaches from it by its keys", async () => {
    const sized = client.terminal("stty rows 33 cols 101; docker run --rm -it busybox size SIGWINCH");
    const ended = exitOf(sized);
    await untilPrints(sized, "33 101");
    expect(await ended).toBe(0);
    await docker("run", "-dit", "--name", "term", "busybox", "tick", "100000", "20");
    const attached = client.terminal("docker attach term");
    const left = exitOf(attached);
    // Its output shows that the client has taken the terminal: before that, the terminal itself would swallow the keys.
    await untilPrints(attached, "tick");
    attached.stdin.write("\x10\x11");
    await left;
    expect((await docker("inspect", "-f", "{{.State.Running}}", "term")).stdout).toBe("true\n");
    await docker("rm", "-f", "term");
  });

  it("copies files and directories into and out of what runs and what does not, by name and as archives", async () => {
    const here = mkdtempSync(join(tmpdir(), "docker-cp-"));
    const at = (...parts: string[]) => join(here, ...parts);
    try {
      mkdirSync(at("tree/deep"), { recursive: true });
      writeFileSync(at("tree/deep/plain"), "what is in it");
      symlinkSync("deep/plain", at("tree/way"));
      const copied = async (...words: string[]) => expect(await docker("cp", "-q", ...words), words.join(" ")).toMatchObject({ code: 0, stderr: "" });
      await docker("create", "--name", "box", "busybox", "tick", "100000", "20");
      for (const round of ["created", "running", "exited"]) {
        if (round === "running") await docker("start", "box");
        if (round === "exited") await docker("kill", "box");
        await copied(at("tree"), `box:/srv/${round}`);
        await copied(at("tree"), "box:/srv");
        await copied(`${at("tree")}/.`, `box:/srv/${round}`);
        await copied(at("tree/deep/plain"), `box:/srv/${round}/renamed`);
        await copied(`box:/srv/${round}`, at(round));
        expect([readFileSync(at(round, "deep/plain"), "utf8"), readFileSync(at(round, "renamed"), "utf8")]).toEqual(["what is in it", "what is in it"]);
        expect(readlinkSync(at(round, "way"))).toBe("deep/plain");
        await copied("-L", `box:/srv/${round}/way`, at(round, "followed"));
        expect(lstatSync(at(round, "followed")).isFile()).toBe(true);
        mkdirSync(at(round, "inside"));
        await copied("box:/srv/tree/.", at(round, "inside"));
        expect(readdirSync(at(round, "inside")).sort()).toEqual(["deep", "way"]);
        execFileSync("tar", ["-cf", at("tree.tar"), "-C", here, "tree"]);
        expect((await client.run(["cp", "-", "box:/tmp"], readFileSync(at("tree.tar")))).code).toBe(0);
        await client.run(["cp", "box:/tmp/tree", "-"]).then(({ stdout }) => writeFileSync(at("out.tar"), stdout));
        expect(
          execFileSync("tar", ["-tf", at("out.tar")])
            .toString()
            .split("\n")
            .toSorted(),
        ).toEqual(["", "tree/", "tree/deep/", "tree/deep/plain", "tree/way"]);
        expect((await docker("ps", "-a", "--filter", "name=^/box$", "--format", "{{.State}}")).stdout).toBe(`${round}\n`);
      }
      expect((await docker("cp", "box:/nothing", here)).stderr).toContain("Could not find the file /nothing in container box");
      expect((await docker("cp", "nobody:/srv", here)).stderr).toContain("No such container: nobody");
    } finally {
      rmSync(here, { recursive: true, force: true });
      await docker("rm", "-f", "box");
    }
  });

  it("lives with a workload: ps, logs, exec, stats, top, port, pause, stop, start, restart, kill, wait, rm", async () => {
    expect(
      (await docker("run", "-d", "--name", "web", "-p", "127.0.0.1:8080:80", "--memory", "64m", "--cpus", "0.5", "busybox", "tick", "100000", "20")).code,
    ).toBe(0);
    expect((await docker("ps", "--format", "{{.Names}} {{.Image}} {{.Ports}}")).stdout).toBe("web busybox 127.0.0.1:8080->80/tcp\n");
    expect((await docker("port", "web")).stdout).toBe("80/tcp -> 127.0.0.1:8080\n");
    const follower = client.begin(["logs", "-f", "-t", "web"]);
    expect(await untilPrints(follower, "tick 3")).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z tick 1\n/);
    expect(await docker("exec", "web", "echo", "inside")).toEqual({ code: 0, stdout: "inside\n", stderr: "" });
    expect((await docker("exec", "web", "exit", "3")).code).toBe(3);
    expect((await docker("exec", "web", "nope")).code).toBe(127);
    expect((await docker("exec", "-d", "web", "true")).code).toBe(0);
    expect((await client.run(["exec", "-i", "web", "count"], "12345")).stdout).toBe("5\n");
    expect((await docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}")).stdout).toMatch(/^web \S+ \/ 64MiB \d+\n$/);
    expect((await docker("top", "web")).code).toBe(0);
    await docker("pause", "web");
    expect((await docker("ps", "--format", "{{.Status}}")).stdout).toContain("(Paused)");
    expect((await docker("exec", "web", "true")).code).toBe(1);
    await docker("unpause", "web");
    expect((await docker("update", "--memory", "128m", "web")).code).toBe(0);
    expect((await docker("inspect", "-f", "{{.HostConfig.Memory}}", "web")).stdout).toBe(`${128 << 20}\n`);
    const followed = exitOf(follower);
    for (const words of [
      ["stop", "-t", "0", "web"],
      ["stop", "web"],
      ["start", "web"],
      ["start", "web"],
      ["restart", "-t", "0", "web"],
      ["kill", "web"],
      ["rename", "web", "site"],
    ])
      expect((await docker(...words)).code, words.join(" ")).toBe(0);
    expect(await followed).toBe(0);
    expect((await docker("wait", "site")).stdout).toBe("137\n");
    expect((await docker("ps", "-a", "--filter", "name=^/site$", "--filter", "exited=137", "--format", "{{.Status}}")).stdout).toMatch(/^Exited \(137\)/);
    expect((await docker("exec", "site", "true")).stderr).toContain("is not running");
    expect((await docker("rm", "site")).code).toBe(0);
    expect((await docker("inspect", "site")).code).toBe(1);
  });

  it("starts attached, and passes signals on", async () => {
    await docker("create", "--name", "again", "busybox", "echo", "twice");
    for (let time = 0; time < 2; time++) expect((await docker("start", "-a", "again")).stdout).toBe("twice\n");
    const trapping = client.begin(["run", "--rm", "--name", "trapping", "busybox", "trap", "SIGINT", "9"]);
    const ended = exitOf(trapping);
    await untilPrints(trapping, "ready");
    trapping.kill("SIGINT");
    expect(await ended).toBe(9);
    await docker("rm", "again");
  });

  it("moves images: pull, images, tag, history, save, load, import, rmi, prune", async () => {
    daemon.images.offered.add("alpine:3");
    expect((await docker("pull", "alpine:3")).stdout).toContain("Downloaded newer image for alpine:3");
    expect((await docker("pull", "alpine:9")).code).toBe(1);
    expect((await docker("run", "--rm", "--pull", "always", "alpine:3", "echo", "pulled")).stdout).toContain("pulled");
    await docker("tag", "alpine:3", "localhost:5000/team/app:1");
    expect((await docker("images", "--format", "{{.Repository}}:{{.Tag}}")).stdout.split("\n")).toContain("localhost:5000/team/app:1");
    expect((await docker("push", "localhost:5000/team/app:1")).stdout).toContain("digest: sha256:");
    expect((await docker("push", "localhost:5000/team/app:2")).code).toBe(1);
    expect((await docker("history", "-q", "alpine:3")).code).toBe(0);
    expect((await docker("save", "alpine:3")).stdout).toContain("name=");
    expect((await client.run(["load"], "name=loaded:1")).stdout).toContain("Loaded image: loaded:1");
    const junk = await client.run(["load"], "x".repeat(3 << 20));
    expect([junk.code, junk.stderr]).toEqual([1, expect.stringContaining("the archive is not an image")]);
    expect((await client.run(["import", "-", "imported:1"], "tar")).stdout).toMatch(/^sha256:/);
    expect((await docker("rmi", "localhost:5000/team/app:1")).stdout).toBe("Untagged: localhost:5000/team/app:1\n");
    expect((await docker("image", "prune", "-af")).code).toBe(0);
  });

  it("tells of the daemon: version, info, events, system df, networks and volumes", async () => {
    expect((await docker("version", "--format", "{{.Server.Platform.Name}} {{.Server.APIVersion}} {{.Client.APIVersion}}")).stdout).toBe(
      "Bulkhead 1.48 1.48\n",
    );
    expect((await docker("info", "--format", "{{.OSType}} {{.DefaultRuntime}}")).stdout).toBe("linux container\n");
    const watcher = client.begin(["events", "--filter", "event=die", "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}"]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    daemon.images.offered.add("busybox:latest");
    await docker("run", "--rm", "busybox", "exit", "4");
    await untilPrints(watcher, "die 4");
    watcher.kill();
    expect((await docker("system", "df")).code).toBe(0);
    expect((await docker("network", "ls", "--format", "{{.Name}}")).stdout).toContain("bridge");
    expect((await docker("volume", "create", "data")).stdout).toBe("data\n");
    expect((await docker("volume", "rm", "data")).code).toBe(0);
    expect((await docker("node", "ls")).stderr).toContain("not a swarm manager");
  });
});
