import { PassThrough, type Duplex } from "node:stream";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startFakeDaemon, type FakeDaemon } from "../../src/api/testkit/fake-daemon.ts";

describe("dockerode against the API over the fake driver", () => {
  let daemon: FakeDaemon;
  let docker: Docker;
  beforeAll(async () => {
    daemon = await startFakeDaemon();
    docker = new Docker({ socketPath: daemon.socket });
  });
  afterAll(() => daemon.close());

  /** Output by stream once the connection has ended. */
  async function readOutput(stream: NodeJS.ReadableStream): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const seen = { stdout: "", stderr: "" };
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    stdout.on("data", (chunk: Buffer) => (seen.stdout += chunk.toString()));
    stderr.on("data", (chunk: Buffer) => (seen.stderr += chunk.toString()));
    docker.modem.demuxStream(stream, stdout, stderr);
    await new Promise((resolve) => {
      stream.once("end", resolve);
      stream.once("close", resolve);
    });
    return seen;
  }

  it("runs with run(), and gives the exit code", async () => {
    const out = new PassThrough();
    let text = "";
    out.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const [result, container] = (await docker.run("busybox", ["exit", "5"], out)) as [{ StatusCode: number }, Docker.Container];
    expect(result.StatusCode).toBe(5);
    await container.remove();
    expect(text).toBe("");
  });

  it("attaches with and without hijacking, with input", async () => {
    for (const hijack of [true, false]) {
      const container = await docker.createContainer({ Image: "busybox", Cmd: ["cat"], OpenStdin: true, StdinOnce: true });
      const stream = (await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack })) as Duplex;
      const output = readOutput(stream);
      await container.start();
      stream.write("through");
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (hijack) stream.end();
      else await container.kill();
      expect((await output).stdout).toBe("through");
      await container.remove({ force: true });
    }
  });

  it("executes with exec, and reads its exit code when the stream has ended", async () => {
    const container = await docker.createContainer({ Image: "busybox", name: "exec-host" });
    await container.start();
    const exec = await container.exec({ Cmd: ["print", "stderr", "told"], AttachStdout: true, AttachStderr: true });
    expect(await readOutput(await exec.start({ hijack: true, stdin: true }))).toEqual({ stdout: "", stderr: "told" });
    expect(await exec.inspect()).toMatchObject({ ExitCode: 0, Running: false });
    await container.remove({ force: true });
  });

  it("follows logs, events and stats, lists with filters, inspects", async () => {
    const container = await docker.createContainer({ Image: "busybox", Cmd: ["tick", "3", "5"], Labels: { who: "dockerode" } });
    const events = await docker.getEvents({ filters: { event: ["die"] } });
    const died = new Promise<string>((resolve) => events.once("data", (chunk: Buffer) => resolve(chunk.toString())));
    await container.start();
    const logs = await container.logs({ follow: true, stdout: true, stderr: true });
    expect((await readOutput(logs)).stdout).toBe("tick 1\ntick 2\ntick 3\n");
    expect(JSON.parse(await died)).toMatchObject({ Action: "die", id: container.id });
    const [listed] = await docker.listContainers({ all: true, filters: { label: ["who=dockerode"] } });
    expect(listed?.State).toBe("exited");
    expect((await container.inspect()).State.ExitCode).toBe(0);
    expect((await container.wait()).StatusCode).toBe(0);
    await container.remove();
  });

  it("pulls with progress, and rejects with the daemon's words and status", async () => {
    daemon.images.offered.add("alpine:3");
    const progress: string[] = [];
    const stream = await docker.pull("alpine:3");
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(
        stream,
        (error) => (error ? reject(error) : resolve()),
        (step: { status: string }) => progress.push(step.status),
      );
    });
    expect(progress).toContain("Downloading");
    await expect(docker.pull("alpine:9")).rejects.toMatchObject({ statusCode: 404, message: expect.stringContaining("manifest for alpine:9 not found") });
    await expect(docker.getContainer("nobody").start()).rejects.toMatchObject({ statusCode: 404 });
  });
});
