/** `bulkhead cp` as it is built, against a daemon of a few lines. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pack } from "tar-stream";
import { ScriptedServer, type Script } from "../../../sdk/src/testkit/scripted-server.ts";
import { BuiltCli } from "../testkit/built-cli.ts";

let cli: BuiltCli;
beforeAll(async () => {
  cli = await BuiltCli.build();
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

const PATH_STAT = "X-Docker-Container-Path-Stat";
const statHeader = (more: object) =>
  Buffer.from(JSON.stringify({ name: "x", size: 0, mode: 0o644, mtime: "2026-01-02T03:04:05Z", linkTarget: "", ...more })).toString("base64");
const DIRECTORY = { mode: 2 ** 31 + 0o755 };

async function archiveOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: "etc/", type: "directory" });
  for (const [name, text] of Object.entries(files)) archive.entry({ name }, text);
  archive.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of archive) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

/** Gives out the archive: whole, or `most` bytes and then nothing more. */
const giving = (archive: Buffer, most = archive.length): Script => ({
  "GET /containers/web/archive": {
    raw: (response) => {
      response.writeHead(200, { [PATH_STAT]: statHeader(DIRECTORY) });
      response.write(archive.subarray(0, most));
      if (most === archive.length) response.end();
    },
  },
});

describe("bulkhead cp", () => {
  it("brings a directory out, says so where it is asked to, and is silent elsewhere", async () => {
    await using daemon = await ScriptedServer.start(giving(await archiveOf({ "etc/a": "one", "etc/b": "two" })));
    const here = cli.scratch();
    expect(await cli.run(["cp", "web:/etc", here], daemon)).toEqual({ code: 0, signal: null, stdout: "", stderr: "" });
    expect(readFileSync(join(here, "etc/b"), "utf8")).toBe("two");
    const told = await cli.run(["cp", "--quiet=false", "web:/etc", join(here, "renamed")], daemon);
    expect(told.stderr).toMatch(/^Successfully copied \S+ to .*renamed\n$/);
    expect(readdirSync(join(here, "renamed"))).toEqual(["a", "b"]);
    expect((await cli.run(["cp", "web:/etc", "-"], daemon)).stdout.length).toBeGreaterThan(2048);
  });

  it("takes a directory in under the name that it shall have, and asks that kinds be kept", async () => {
    await using daemon = await ScriptedServer.start({
      "HEAD /containers/web/archive": ({ query }) =>
        query.get("path") === "/srv" ? { text: "", headers: { [PATH_STAT]: statHeader(DIRECTORY) } } : { status: 404, text: "" },
      "GET /containers/web/json": { json: {} },
      "PUT /containers/web/archive": { text: "" },
    });
    const here = cli.scratch();
    mkdirSync(join(here, "site"));
    writeFileSync(join(here, "site/index.html"), "hello");
    const sent = async (from: string, to: string) => {
      expect(await cli.run(["cp", "-a", from, to], daemon)).toMatchObject({ code: 0, stderr: "" });
      const { query, body } = daemon.asked.at(-1) ?? { query: new URLSearchParams(), body: "" };
      return { query: Object.fromEntries(query), names: [...body.matchAll(/[\w./]*(?:index\.html|site\/|www\/|\.\/)(?=\0)/g)].map(([name]) => name) };
    };
    const asked = { noOverwriteDirNonDir: "true", copyUIDGID: "true" };
    expect(await sent(join(here, "site"), "web:/srv")).toEqual({ query: { path: "/srv", ...asked }, names: ["site/", "site/index.html"] });
    expect(await sent(`${join(here, "site")}/.`, "web:/srv")).toEqual({ query: { path: "/srv", ...asked }, names: ["./", "./index.html"] });
    expect(await sent(join(here, "site"), "web:/srv/www")).toEqual({ query: { path: "/srv", ...asked }, names: ["www/", "www/index.html"] });
  });

  it("leaves whole files and no half of one when it is interrupted, and says so", async () => {
    const archive = await archiveOf({ "etc/a": "one", "etc/b": "y".repeat(100_000) });
    await using daemon = await ScriptedServer.start(giving(archive, 60_000));
    const here = cli.scratch();
    const running = cli.start(["cp", "web:/etc", here], daemon);
    await expect.poll(() => existsSync(join(here, "etc")) && readdirSync(join(here, "etc")).length, { timeout: 10_000 }).toBe(2);
    running.kill("SIGINT");
    expect(await running.outcome).toMatchObject({ code: 130, stderr: "bulkhead: interrupted; what was copied whole stays\n" });
    expect(readdirSync(join(here, "etc"))).toEqual(["a"]);
  });

  it("tells what the daemon says", async () => {
    await using daemon = await ScriptedServer.start({
      "GET /containers/web/archive": {
        status: 404,
        json: { message: "x", code: "NOT_FOUND", what: "Could not find the file /x in container web", remedy: "Look." },
      },
    });
    expect(await cli.run(["cp", "web:/x", cli.scratch()], daemon)).toMatchObject({
      code: 1,
      stderr: "bulkhead: Could not find the file /x in container web\nRemedy: Look.\n",
    });
  });
});
