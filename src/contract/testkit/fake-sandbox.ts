/** One daemon's handles on what stands on the fake host. Thrown away with the daemon; what they point at stays. */

import type { BoundaryIdentity } from "../boundary.ts";
import type { Call } from "../call.ts";
import type { FacetName } from "../driver.ts";
import { Failure } from "../failure.ts";
import type { AttachOptions, Attachment, Process, ProcessSpec } from "../process.ts";
import type { DebugFacet, ExecFacet, PauseFacet, ResizeFacet, Sandbox, SnapshotFacet, TopFacet } from "../sandbox.ts";
import { filesFacet } from "./fake-archive.ts";
import type { FakeProcess } from "./fake-process.ts";
import type { FakeStep } from "./fake-host.ts";
import { FAKE_PROGRAMS } from "./fake-programs.ts";
import type { FakeSupervisor } from "./fake-supervisor.ts";

/** Carries out one step, with whatever fault was ordered for it. */
export type Step = <T>(step: FakeStep, call: Call, effect: () => T | Promise<T>) => Promise<T>;

const NOT_EXECUTABLE = "not-executable";
const NO_ROOM = "no-room";

/** What a real boundary says when it tries to execute; `not-executable` is there and cannot run, `no-room` finds a limit reached. */
function checkCommand(spec: ProcessSpec): void {
  const name = spec.command[0] ?? "";
  if (name === NOT_EXECUTABLE) throw new Failure("COMMAND_NOT_EXECUTABLE", `${name} cannot be executed`);
  if (name === NO_ROOM) throw new Failure("EXHAUSTED", "the workload is at its limit of 4 processes", { remedy: "end some of them" });
  if (!Object.hasOwn(FAKE_PROGRAMS, name)) throw new Failure("COMMAND_NOT_FOUND", `${name}: no such program`);
}

export function joinProcess(process: FakeProcess, options: AttachOptions): Attachment {
  const sink = process.join(options);
  let inputOver = !options.stdin || !process.spec.stdin;
  const endsInput = process.number !== 0 || process.spec.stdinOnce;
  return {
    output: sink,
    write: async (bytes) => {
      if (inputOver) throw new Failure("WRONG_STATE", "standard input is not open on this attachment");
      await process.input.write(bytes);
    },
    endInput: async () => {
      if (!inputOver && endsInput) process.input.end();
      inputOver = true;
    },
    close: () => {
      if (!inputOver && endsInput) process.input.end();
      inputOver = true;
      process.leave(sink);
    },
  };
}

function fakeProcess(process: FakeProcess, step: Step): Process {
  return {
    number: process.number,
    hostPid: 1000 + process.number,
    exited: process.exited,
    attach: (options, call) => step("attach", call, () => joinProcess(process, options)),
    signal: (name, call) => step("signal", call, () => process.signal(name)),
    resizeTerminal: async (size) => {
      if (!process.spec.terminal) throw new Failure("UNSUPPORTED", "this process has no terminal");
      process.size = size;
      process.signal("SIGWINCH");
    },
  };
}

function execFacet(supervisor: FakeSupervisor, step: Step): ExecFacet {
  return {
    run: (spec, attach, call) =>
      step("exec", call, () => {
        if (supervisor.state !== "running") throw new Failure("WRONG_STATE", "the main process does not run");
        checkCommand(spec);
        const process = supervisor.exec(spec);
        const attachment = joinProcess(process, attach);
        process.run();
        return { process: fakeProcess(process, step), attachment };
      }),
    find: (exec) => {
      const process = typeof exec === "number" ? supervisor.processes.get(exec) : [...supervisor.processes.values()].find(({ spec }) => spec.name === exec);
      return process === undefined ? undefined : fakeProcess(process, step);
    },
  };
}

/** Its programs have no files, so that they need none of the tools. */
function debugFacet(supervisor: FakeSupervisor, step: Step): DebugFacet {
  const exec = execFacet(supervisor, step);
  return { run: (spec, _tools, attach, call) => exec.run(spec, attach, call) };
}

function pauseFacet(supervisor: FakeSupervisor, step: Step): PauseFacet {
  return {
    pause: (call) => step("pause", call, () => supervisor.pause()),
    resume: (call) => step("resume", call, () => supervisor.resume()),
  };
}

function resizeFacet(supervisor: FakeSupervisor, step: Step): ResizeFacet {
  return { update: (limits, call) => step("update", call, () => void (supervisor.limits = { ...supervisor.limits, ...limits })) };
}

function topFacet(supervisor: FakeSupervisor, step: Step): TopFacet {
  return {
    processes: (call) =>
      step("top", call, () => ({
        titles: ["PID", "CMD"],
        rows: [...supervisor.processes.values()]
          .filter(({ status }) => status === undefined)
          .map(({ number, spec }) => [String(1000 + number), spec.command.join(" ")]),
      })),
  };
}

const snapshotFacet: SnapshotFacet = { save: async () => {} };

export function fakeSandbox(supervisor: FakeSupervisor, identity: BoundaryIdentity, facets: readonly FacetName[], step: Step): Sandbox {
  const has = (name: FacetName) => facets.includes(name);
  return {
    identity,
    main: fakeProcess(supervisor.main, step),
    ended: supervisor.ended,
    start: (call) =>
      step("start", call, () => {
        if (supervisor.started) throw new Failure("UNCHANGED", "the main process was let go already");
        try {
          checkCommand(supervisor.main.spec);
        } catch (thrown) {
          supervisor.end();
          throw thrown;
        }
        supervisor.start();
      }),
    stats: (call) =>
      step("stats", call, () => {
        if (supervisor.state === "ended") throw new Failure("WRONG_STATE", "the sandbox has ended");
        return supervisor.use();
      }),
    end: (call) =>
      step("end", call, async () => {
        supervisor.end();
        await supervisor.ended;
      }),
    ...(has("exec") ? { exec: execFacet(supervisor, step) } : {}),
    ...(has("pause") ? { pause: pauseFacet(supervisor, step) } : {}),
    ...(has("resize") ? { resize: resizeFacet(supervisor, step) } : {}),
    ...(has("top") ? { top: topFacet(supervisor, step) } : {}),
    ...(has("files") ? { files: filesFacet({ files: supervisor.files, isOver: () => supervisor.state === "ended" }, step) } : {}),
    ...(has("debug") ? { debug: debugFacet(supervisor, step) } : {}),
    ...(has("snapshot") ? { snapshot: snapshotFacet } : {}),
  };
}
