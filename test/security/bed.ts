/** What attempts are made against: a daemon of the test's own, targets behind each boundary, and things on the host that nobody inside may reach. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { HostConfig } from "@bulkhead/sdk";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";
import { Inhabitants } from "../integration/chaos/inhabitants.ts";
import { makeBusyboxLayer } from "../integration/host/busybox-root.ts";
import type { Attacked } from "./vector.ts";

const PROGRAMS = join(import.meta.dirname, "programs");
const IDLE = ["sleep", "100000"];

/** A running workload that attempts are made from. */
export interface Target {
  readonly name: string;
  readonly isolation: Attacked;
  readonly inhabitants: Inhabitants;
  /** Further workloads start in a tenth of a second behind it. */
  readonly quick: boolean;
  /** Runs a script in it to its end and gives what it said. */
  say(script: string): Promise<string>;
}

export class Bed {
  readonly daemon: TestDaemon;
  readonly root: string;
  readonly secret = `secret-${randomBytes(12).toString("hex")}`;
  /** The image's root with the programs in its /bin, as a directory of the host. */
  readonly image: string;
  readonly marks: string;
  readonly secretFile: string;
  /** An abstract socket and a port of the loopback, each of which says the secret. */
  readonly abstractName = `bulkhead-${randomBytes(6).toString("hex")}`;
  port = 0;
  /** A block device that holds the secret; undefined where this host has no loop devices. */
  disk: { readonly path: string; readonly major: number; readonly minor: number } | undefined;
  private readonly servers: Server[] = [];
  private victim: ChildProcess | undefined;

  private constructor(daemon: TestDaemon) {
    this.daemon = daemon;
    this.root = mkdtempSync(join(tmpdir(), "bulkhead-escapes-"));
    this.marks = join(this.root, "marks");
    this.secretFile = join(this.root, "secret");
    mkdirSync(this.marks, { mode: 0o777 });
    writeFileSync(this.secretFile, `${this.secret}\n`);
    this.image = makeBusyboxLayer(this.root);
    for (const source of readdirSync(PROGRAMS)) {
      const words = ["-static", "-Os", "-s", "-Wall", "-Werror", "-o", join(this.image, "bin", basename(source, ".c")), join(PROGRAMS, source)];
      execFileSync("gcc", words, { stdio: ["ignore", "ignore", "inherit"] });
    }
  }

  static async open(): Promise<Bed> {
    const bed = new Bed(await TestDaemon.open({ image: false }));
    const archive = join(bed.root, "image.tar");
    execFileSync("tar", ["-C", bed.image, "-cf", archive, "."]);
    const imported = await bed.daemon.cli("import", archive, "attempts");
    if (imported.code !== 0) throw new Error(imported.stderr);
    await bed.listen({ path: `\0${bed.abstractName}` });
    const server = await bed.listen({ port: 0, host: "127.0.0.1" });
    bed.port = (server.address() as { port: number }).port;
    bed.disk = bed.attachDisk();
    return bed;
  }

  /** A program of the image, on the host. */
  program(name: string): string {
    return join(this.image, "bin", name);
  }

  /** The process on the host that shall not be reached: its environment holds the secret. A fresh one where the last has ended. */
  get victimPid(): number {
    if (this.victim === undefined || this.victim.exitCode !== null || this.victim.signalCode !== null)
      this.victim = spawn(this.program("busybox"), IDLE, { env: { SECRET: this.secret }, stdio: "ignore" });
    return this.victim.pid as number;
  }

  async victimEnded(): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, 100)); // a signal is on its way
    return this.victim !== undefined && (this.victim.exitCode !== null || this.victim.signalCode !== null);
  }

  /** "DEVICE:INODE" of everything that the host runs for a workload. */
  programsOfTheHost(): string[] {
    const native = join(CHECKOUT, "dist/native");
    const paths = [
      ...readdirSync(native).map((name) => join(native, name)),
      ...["crun", "runc", "runsc"].map((name) => join("/usr/bin", name)),
      this.program("enter"),
    ];
    return paths.filter((path) => existsSync(path)).map((path) => `${statSync(path).dev}:${statSync(path).ino}`);
  }

  async raise(isolation: Attacked, name: string, host: HostConfig = {}): Promise<Target> {
    const inhabitants = new Inhabitants(this.daemon, isolation);
    await inhabitants.run(name, IDLE, { NetworkMode: "bridge", ...host }, { Image: "attempts" });
    return {
      name,
      isolation,
      inhabitants,
      quick: isolation === "container",
      say: async (script) => (await inhabitants.exec(name, ["sh", "-c", `exec 2>&1; ${script}`])).output,
    };
  }

  /** Takes back what attempts have done. */
  clean(): void {
    for (const name of readdirSync(this.marks)) rmSync(join(this.marks, name), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.victim?.kill("SIGKILL");
    for (const server of this.servers) server.close();
    if (this.disk !== undefined) await run("losetup", ["-d", this.disk.path]);
    await this.daemon.close();
    rmSync(this.root, { recursive: true, force: true });
  }

  private async listen(where: object): Promise<Server> {
    const server = createServer((peer) => {
      peer.on("error", () => undefined);
      peer.end(`HTTP/1.0 200 OK\r\n\r\n${this.secret}\n`);
    });
    await new Promise<void>((resolve) => server.listen(where, resolve));
    this.servers.push(server);
    return server;
  }

  private attachDisk(): Bed["disk"] {
    const file = join(this.root, "disk");
    writeFileSync(file, Buffer.concat([readFileSync(this.secretFile), Buffer.alloc(64 * 1024)]).subarray(0, 64 * 1024));
    try {
      const path = execFileSync("losetup", ["--find", "--show", file], { encoding: "utf8" }).trim();
      const number = statSync(path).rdev;
      return { path, major: (number >> 8) & 0xfff, minor: (number & 0xff) | ((number >> 12) & 0xfff00) };
    } catch {
      return undefined;
    }
  }
}
