/** The store over the real launcher: its verbs through its socket, into its confined children. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { busyboxArchive } from "../../../scripts/fixtures/busybox-image.ts";
import { LauncherClient } from "../../../src/host/launcher-client.ts";
import { type Images, openImages } from "../../../src/images/index.ts";
import { openStateStore, type StateStore } from "../../../src/state/index.ts";
import { call, pieces, quiet } from "./bench.ts";
import { archiveOf } from "./registry.ts";

const NATIVE = resolve(import.meta.dirname, "../../../native");
const PROGRAM = join(NATIVE, "target/x86_64-unknown-linux-gnu/release/bulkhead-launcher");

beforeAll(() => {
  if (!existsSync(PROGRAM)) execFileSync("cargo", ["build", "--release", "-p", "bulkhead-launcher"], { cwd: NATIVE });
});

interface Daemon extends AsyncDisposable {
  readonly directory: string;
  readonly launcher: ChildProcess;
  readonly images: Images;
}

async function startDaemon(): Promise<Daemon> {
  const directory = mkdtempSync("/tmp/bulkhead-images-launcher-");
  const [root, run, socket] = [join(directory, "root"), join(directory, "run"), join(directory, "run/launcher.sock")];
  for (const path of [root, run]) mkdirSync(path, { mode: 0o711 });
  const launcher = spawn(PROGRAM, ["--root", root, "--run", run, "--socket", socket], { stdio: ["ignore", "ignore", "inherit"] });
  for (let attempt = 0; attempt < 200 && !existsSync(socket); attempt++) await sleep(20);
  const client = new LauncherClient({ socket, log: call().log });
  const state: StateStore = openStateStore(join(directory, "state"));
  const images = await openImages({ directory: join(root, "images"), state, worker: client });
  return {
    directory,
    launcher,
    images,
    async [Symbol.asyncDispose]() {
      client.close();
      state.close();
      if (launcher.exitCode === null && launcher.signalCode === null) {
        const gone = new Promise((settle) => launcher.once("exit", settle));
        launcher.kill("SIGTERM");
        await gone;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

test("an image is loaded, checked and made a drive by the launcher's children", async () => {
  await using daemon = await startDaemon();
  const [view] = await daemon.images.load(pieces(await busyboxArchive()), quiet, call());
  const trees = await daemon.images.root(view?.id ?? "", "directories", call());
  if (trees.form !== "directories") throw new Error("not directories");
  expect(execFileSync("chroot", [trees.layers[0] as string, "/bin/sh", "-c", "echo $((6*7))"], { encoding: "utf8" })).toBe("42\n");
  const drive = await daemon.images.root(view?.id ?? "", "block-image", call());
  expect(drive.form === "block-image" && drive.extents.every((path) => existsSync(path))).toBe(true);
});

test("a layer whose uncompressed digest lies is refused in the image's own words, and nothing is left", async () => {
  await using daemon = await startDaemon();
  const archive = archiveOf([Buffer.from("layer")], "lie:1", daemon.directory);
  const at = archive.indexOf('"sha256:') + 8;
  const digest = archive.subarray(at, at + 64).toString();
  archive.write(createHash("sha256").update(digest).digest("hex"), at);
  await expect(daemon.images.load(pieces(archive), quiet, call())).rejects.toMatchObject({ code: "CORRUPT_DATA", message: expect.stringContaining(digest) });
  expect(readdirSync(join(daemon.directory, "root/images/layers"))).toEqual([]);
  expect(daemon.images.list()).toEqual([]);
});

test("a launcher that dies while it unpacks is told as such, and nothing is believed", async () => {
  await using daemon = await startDaemon();
  const big = archiveOf([Buffer.alloc(120_000_000, "contents ")], "big:1", daemon.directory);
  // The layer is unpacked while it comes.
  const progress = ({ current = 0 }: { readonly current?: number }) => void (current > 60_000_000 && daemon.launcher.kill("SIGKILL"));
  await expect(daemon.images.load(pieces(big, 1 << 20), { progress }, call())).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  expect(daemon.images.list()).toEqual([]);
});
