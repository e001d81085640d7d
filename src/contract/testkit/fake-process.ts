/** One process behind the fake boundary: a scripted program with pipes, signals and a terminal size. */

import type { ExitStatus, ProcessSpec, TerminalSize } from "../process.ts";
import { FakeInput, FakeSink } from "./fake-streams.ts";
import { FAKE_PROGRAMS, type FakeSystem } from "./fake-programs.ts";
import type { FakeSupervisor } from "./fake-supervisor.ts";

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGWINCH: 28,
};
const IGNORED_BY_DEFAULT = new Set(["SIGWINCH", "SIGCHLD", "SIGCONT"]);

export class FakeProcess {
  readonly number: number;
  readonly spec: ProcessSpec;
  readonly exited: Promise<ExitStatus>;
  readonly input = new FakeInput();
  status: ExitStatus | undefined;
  size: TerminalSize;
  private readonly supervisor: FakeSupervisor;
  private readonly settle: (status: ExitStatus) => void;
  private readonly sinks = new Map<FakeSink, { stdout: boolean; stderr: boolean }>();
  private readonly traps = new Map<string, () => void>();

  constructor(number: number, spec: ProcessSpec, supervisor: FakeSupervisor) {
    this.number = number;
    this.spec = spec;
    this.supervisor = supervisor;
    this.size = spec.terminalSize ?? { rows: 24, columns: 80 };
    const exited = Promise.withResolvers<ExitStatus>();
    this.exited = exited.promise;
    this.settle = exited.resolve;
    if (!spec.stdin) this.input.end();
  }

  run(): void {
    const [name = "", ...words] = this.spec.command;
    const program = FAKE_PROGRAMS[name];
    if (program === undefined) return this.end({ code: 127 });
    program(this.system(), words).then(
      (code) => this.end({ code: code & 255 }),
      () => this.end({ code: 1 }),
    );
  }

  join(want: { stdout: boolean; stderr: boolean }): FakeSink {
    const sink = new FakeSink();
    if (this.status !== undefined) sink.finish();
    else this.sinks.set(sink, want);
    return sink;
  }

  leave(sink: FakeSink): void {
    this.sinks.delete(sink);
    sink.drop();
  }

  signal(name: string): boolean {
    if (this.status !== undefined) return false;
    const trap = name === "SIGKILL" ? undefined : this.traps.get(name);
    if (trap !== undefined) trap();
    else if (!IGNORED_BY_DEFAULT.has(name)) this.kill(name);
    return true;
  }

  kill(signal: string, outOfMemory = false): void {
    this.end({ code: 128 + (SIGNAL_NUMBERS[signal] ?? 0), signal, outOfMemory });
  }

  end(how: { code: number; signal?: string; outOfMemory?: boolean }): void {
    if (this.status !== undefined) return;
    this.status = { ...how, outOfMemory: how.outOfMemory ?? false, at: this.supervisor.host.now() };
    if (this.number === 0) this.supervisor.log.finish();
    for (const sink of this.sinks.keys()) sink.finish();
    this.input.end();
    this.settle(this.status);
    this.supervisor.processEnded(this);
  }

  /** What the program is given. After the process's end none of its calls settles: the program is as good as gone. */
  private system(): FakeSystem {
    const { supervisor, spec } = this;
    const alive = async <T>(work: Promise<T> | T): Promise<T> => {
      const result = await work;
      await supervisor.running();
      return this.status === undefined ? result : new Promise<never>(() => {});
    };
    return {
      environment: spec.environment,
      workingDirectory: spec.workingDirectory,
      user: spec.user === "" ? "0:0" : spec.user,
      hostname: supervisor.spec.hostname,
      kernel: supervisor.kernel,
      terminal: spec.terminal,
      files: supervisor.files,
      write: (stream, bytes) => alive(this.write(stream, Buffer.from(bytes))),
      read: () => alive(this.input.read()),
      sleep: (ms) => alive(new Promise<void>((resolve) => void supervisor.host.after(ms, resolve))),
      trap: (signal, act) => void this.traps.set(signal, act),
      terminalSize: () => this.size,
      fork: () => supervisor.fork(),
      allocate: (bytes) => alive(supervisor.allocate(bytes)),
    };
  }

  private async write(asked: "stdout" | "stderr", bytes: Buffer): Promise<void> {
    if (this.status !== undefined) return;
    const stream = this.spec.terminal ? "stdout" : asked;
    const shown = this.spec.terminal ? Buffer.from(bytes.toString("latin1").replaceAll("\n", "\r\n"), "latin1") : bytes;
    if (this.number === 0) this.supervisor.log.write(stream, shown);
    for (const [sink, want] of this.sinks) if (want[stream]) sink.push({ stream, bytes: shown });
    await Promise.all([...this.sinks.keys()].map((sink) => sink.room()));
  }
}
