/** A machine and its agent without launcher or supervisor: QEMU with the agent's channel on a unix socket, spoken to directly. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, existsSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { INITIAL_CREDIT_BYTES } from "../../src/contract/agent-protocol.ts";
import { FRAME_HEADER_BYTES, FRAME_KIND, type FrameKind } from "../../src/contract/frame.ts";
import type { GuestConfiguration, GuestProcess } from "../../src/contract/launch-plan.ts";

export interface Exit {
  readonly process: number;
  readonly code: number;
  readonly signal?: string;
  readonly outOfMemory: boolean;
}

export interface Collected {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: Exit;
}

/** The newest guest kernel with an initrd of the built init; undefined where `scripts/kernel/prepare.sh` has not run. */
export function findGuestKernel(prefix: "own" | "debian", cache = "/var/cache/bulkhead/kernel"): { kernel: string; initrd: string } | undefined {
  const guest = new URL("../../native/target/x86_64-unknown-linux-gnu/release/bulkhead-guest", import.meta.url).pathname;
  if (!existsSync(guest) || !existsSync(cache)) return undefined;
  const hash = createHash("sha256").update(readFileSync(guest)).digest("hex").slice(0, 16);
  const directories = readdirSync(cache)
    .filter((name) => name.startsWith(`${prefix}-`) && existsSync(join(cache, name, `initrd-${hash}`)))
    .sort((a, b) => statSync(join(cache, b)).mtimeMs - statSync(join(cache, a)).mtimeMs);
  const found = directories[0];
  return found === undefined ? undefined : { kernel: join(cache, found, "vmlinux"), initrd: join(cache, found, `initrd-${hash}`) };
}

export interface MachineOptions {
  readonly kernel: { kernel: string; initrd: string };
  readonly root: string;
  readonly scratch?: string;
  readonly memory?: string;
  readonly append?: string;
  /** More of QEMU's arguments, given the machine's own directory. */
  readonly more?: (directory: string) => readonly string[];
  /** Brings it to life otherwise than by booting; there is no first word then. */
  readonly resume?: (machine: AgentMachine) => Promise<void>;
}

/** Debian's kernel finds its devices by ACPI alone; ours is told on the command line. */
export const bareArguments = (acpi: "on" | "off") => [
  ...`-M microvm,acpi=${acpi},x-option-roms=off,rtc=on,pit=on,pic=on,isa-serial=on -accel tcg -cpu max`.split(" "),
  ..."-nodefaults -no-user-config -no-reboot -display none -global virtio-mmio.force-legacy=false".split(" "),
];

export class AgentMachine {
  readonly directory = mkdtempSync("/tmp/microvm-agent-");
  readonly startedAt = performance.now();
  helloAt = 0;
  kernel = "";
  vmm!: ChildProcess;
  console = "";
  readonly ended: Promise<void>;
  #socket!: Socket;
  #server!: Server;
  #received = Buffer.alloc(0);
  #nextId = 1;
  readonly #answers = new Map<number, { resolve(value: Record<string, unknown>): void; reject(reason: unknown): void }>();
  readonly #collected = new Map<number, { stdout: Buffer[]; stderr: Buffer[]; exit(value: Exit): void; hungry: boolean }>();
  #hello!: () => void;
  readonly #helloed: Promise<void>;
  #markEnded!: () => void;

  constructor() {
    this.#helloed = new Promise((resolve) => (this.#hello = resolve));
    this.ended = new Promise((resolve) => (this.#markEnded = resolve));
  }

  static async boot(options: MachineOptions): Promise<AgentMachine> {
    const machine = new AgentMachine();
    await machine.#listen();
    const drives = [`id=root,file=${options.root},format=raw,readonly=on,if=none`];
    if (options.scratch !== undefined) drives.push(`id=scratch,file=${options.scratch},format=raw,if=none,discard=unmap`);
    const args = [
      bareArguments(options.kernel.kernel.includes("/debian-") ? "on" : "off"),
      ["-m", options.memory ?? "256M", "-kernel", options.kernel.kernel, "-initrd", options.kernel.initrd],
      ["-append", `console=ttyS0 quiet reboot=t panic=-1 mitigations=off ${options.append ?? ""}`],
      drives.flatMap((drive) => {
        const id = drive.split(",")[0]?.slice(3);
        return ["-drive", drive, "-device", `virtio-blk-device,drive=${id},serial=${id}`];
      }),
      ["-device", "virtio-serial-device,max_ports=4", "-chardev", `socket,id=agent,path=${machine.directory}/agent`],
      ["-device", "virtserialport,chardev=agent,name=org.bulkhead.agent", "-serial", "stdio"],
      options.more?.(machine.directory) ?? [],
    ].flat();
    machine.vmm = spawn("qemu-system-x86_64", args, { stdio: ["ignore", "pipe", "pipe"] });
    const note = (bytes: Buffer) => (machine.console = (machine.console + bytes.toString()).slice(-65536));
    machine.vmm.stdout?.on("data", note);
    machine.vmm.stderr?.on("data", note);
    machine.vmm.on("exit", () => machine.#markEnded());
    if (options.resume !== undefined) {
      await options.resume(machine);
      return machine;
    }
    await Promise.race([machine.#helloed, machine.ended]);
    if (machine.helloAt === 0) throw new Error(`the machine ended before its agent's first word: ${machine.console}`);
    return machine;
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server = createServer((socket) => {
        this.#socket = socket;
        socket.on("data", (bytes) => this.#take(bytes));
        socket.on("error", () => {});
      }).listen(join(this.directory, "agent"), resolve);
    });
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    while (this.#received.length >= FRAME_HEADER_BYTES) {
      const length = this.#received.readUInt32LE(0);
      if (this.#received.length < FRAME_HEADER_BYTES + length) return;
      const payload = this.#received.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length);
      const [kind, process] = [this.#received[4], this.#received.readUInt32LE(5)];
      this.#received = this.#received.subarray(FRAME_HEADER_BYTES + length);
      if (kind === FRAME_KIND.message) this.#message(JSON.parse(payload.toString()));
      else if (kind === FRAME_KIND.stdout || kind === FRAME_KIND.stderr) this.#output(kind, process, Buffer.from(payload));
    }
  }

  #message(message: Record<string, unknown>): void {
    if (message["event"] === "hello") {
      this.helloAt = performance.now();
      this.kernel = message["kernel"] as string;
      this.#hello();
    } else if (message["event"] === "exited") {
      this.#collected.get(message["process"] as number)?.exit(message as unknown as Exit);
    } else {
      const waiting = this.#answers.get(message["id"] as number);
      if (message["failure"] === undefined) waiting?.resolve(message["ok"] as Record<string, unknown>);
      else waiting?.reject(message["failure"]);
    }
  }

  #output(kind: FrameKind, process: number, bytes: Buffer): void {
    const place = this.#collected.get(process);
    if (place === undefined) throw new Error(`output of process ${process}, which was never started`);
    (kind === FRAME_KIND.stdout ? place.stdout : place.stderr).push(bytes);
    if (place.hungry) this.credit(process, kind, bytes.length);
  }

  send(kind: FrameKind, process: number, payload: Uint8Array): void {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32LE(payload.length, 0);
    header[4] = kind;
    header.writeUInt32LE(process, 5);
    this.#socket.write(Buffer.concat([header, payload]));
  }

  credit(process: number, kind: FrameKind, bytes: number): void {
    const payload = Buffer.alloc(5);
    payload[0] = kind;
    payload.writeUInt32LE(bytes, 1);
    this.send(FRAME_KIND.credit, process, payload);
  }

  ask(verb: string, fields: object = {}): Promise<Record<string, unknown>> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.send(FRAME_KIND.message, 0, Buffer.from(JSON.stringify({ id, verb, ...fields })));
    });
  }

  async configure(changes: Partial<GuestConfiguration> & Pick<GuestConfiguration, "layers">): Promise<void> {
    await this.ask("configure", {
      hostname: "box",
      hosts: "127.0.0.1 localhost\n",
      resolvConf: "",
      network: null,
      readOnlyRoot: false,
      mounts: [],
      shmBytes: 0,
      sysctls: {},
      limits: {},
      maskedPaths: ["/proc/kcore", "/proc/acpi"],
      readOnlyPaths: ["/proc/sys"],
      ...changes,
      clockNs: String(BigInt(Date.now()) * 1_000_000n),
      entropyBase64: randomBytes(64).toString("base64"),
    });
  }

  /** Starts a process and collects it. `hungry: false` gives no credit back. */
  start(
    process: number,
    command: readonly string[],
    changes: Partial<GuestProcess> = {},
    hungry = true,
  ): { started: Promise<number>; done: Promise<Collected> } {
    const place = { stdout: [] as Buffer[], stderr: [] as Buffer[], exit: (() => {}) as (exit: Exit) => void, hungry };
    const exited = new Promise<Exit>((resolve) => (place.exit = resolve));
    this.#collected.set(process, place);
    const spec: GuestProcess = {
      command,
      environment: ["PATH=/bin"],
      workingDirectory: "/",
      user: "",
      additionalGroups: [],
      terminal: false,
      stdin: false,
      capabilities: ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"],
      noNewPrivileges: true,
      rlimits: [],
      init: false,
      ...changes,
    };
    const started = this.ask("start", { process, spec }).then((ok) => Number(ok["pid"]));
    const text = (parts: Buffer[]) => Buffer.concat(parts).toString();
    return { started, done: started.then(() => exited).then((exit) => ({ stdout: text(place.stdout), stderr: text(place.stderr), exit })) };
  }

  received(process: number): number {
    return (this.#collected.get(process)?.stdout ?? []).reduce((sum, part) => sum + part.length, 0);
  }

  async run(process: number, command: readonly string[], changes: Partial<GuestProcess> = {}): Promise<Collected> {
    return this.start(process, command, changes).done;
  }

  async end(): Promise<void> {
    this.vmm.kill("SIGKILL");
    await this.ended;
    this.#socket?.destroy();
    this.#server.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export { INITIAL_CREDIT_BYTES };
