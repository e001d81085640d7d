/** `--restart` as Docker means it, on the container boundary, also after the daemon itself was killed and began anew. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open();
});
afterAll(() => daemon.close());

interface Seen {
  readonly RestartCount: number;
  readonly State: { readonly Status: string; readonly ExitCode: number };
}

const inspect = async (name: string): Promise<Seen> => (JSON.parse((await daemon.cli("inspect", name)).stdout) as [Seen])[0];
const stateOf = async (name: string): Promise<string> => (await inspect(name)).State.Status;
const run = async (name: string, policy: string, ...command: string[]): Promise<void> => {
  expect(await daemon.cli("run", "-d", "--name", name, "--restart", policy, "busybox", ...command)).toMatchObject({ code: 0 });
};

it("obeys no, on-failure with and without a count, always and unless-stopped, before and after the daemon's own restart", async () => {
  await run("never", "no", "sh", "-c", "exit 4");
  await run("thrice", "on-failure:3", "sh", "-c", "exit 4");
  await run("well", "on-failure", "true");
  await run("again", "always", "sh", "-c", "sleep 0.2");
  await run("up", "unless-stopped", "sleep", "1000");
  await run("down", "unless-stopped", "sleep", "1000");
  await run("risen", "always", "sleep", "1000");
  await daemon.cli("stop", "-t", "0", "down", "risen");
  await expect.poll(() => inspect("thrice"), { timeout: 15_000 }).toMatchObject({ RestartCount: 3, State: { Status: "exited", ExitCode: 4 } });
  await expect.poll(async () => (await inspect("again")).RestartCount, { timeout: 15_000 }).toBeGreaterThan(1);
  expect(await inspect("never")).toMatchObject({ RestartCount: 0, State: { Status: "exited", ExitCode: 4 } });
  expect(await inspect("well")).toMatchObject({ RestartCount: 0, State: { Status: "exited", ExitCode: 0 } });
  expect([await stateOf("up"), await stateOf("down"), await stateOf("risen")]).toEqual(["running", "exited", "exited"]);
  await daemon.kill();
  await daemon.start();
  // As in Docker: always is always, also for what was stopped by hand.
  await expect.poll(() => stateOf("risen"), { timeout: 15_000 }).toBe("running");
  expect([await stateOf("up"), await stateOf("down"), await stateOf("never"), await stateOf("well"), await stateOf("thrice")]).toEqual([
    "running",
    "exited",
    "exited",
    "exited",
    "exited",
  ]);
});

it("refuses what is no policy", async () => {
  for (const policy of ["sometimes", "always:3", "on-failure:x"]) {
    expect(await daemon.cli("run", "--restart", policy, "busybox", "true")).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("restart policy") as unknown,
    });
  }
  expect(await daemon.cli("run", "--rm", "--restart", "always", "busybox", "true")).toMatchObject({ code: 125 });
});
