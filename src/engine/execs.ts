/**
 * Execs: further processes in a running workload. The exit is known before the attachment's output ends, because clients
 * ask for it the moment they see the end.
 */

import { randomBytes } from "node:crypto";
import { isAbsolute } from "node:path";
import type { Call } from "../contract/call.ts";
import { Failure, quote, toFailure } from "../contract/failure.ts";
import type { AttachOptions, Attachment, ExitStatus, Process, ProcessSpec, TerminalSize } from "../contract/process.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import { announceWorkload } from "./announcement.ts";
import { formatInstant } from "./clock.ts";
import type { Context } from "./context.ts";
import { debugFacet, debugProcess, holdTools, holdToolsAgain, isDebug, releaseTools, toolsRoot } from "./debug.ts";
import type { ExecRequest, ExecView } from "./index.ts";
import { checkInsidePath } from "./inside-paths.ts";
import { askRunning, notRunning } from "./meanwhile.ts";
import { mergeEnvironment } from "./merge.ts";
import type { ExecRecord } from "./record.ts";
import { parseSignal } from "./signals.ts";
import { checkUser, checkWords } from "./validation.ts";
import type { Workload } from "./workload.ts";

/** Ended execs that are remembered per workload; those that ended just now as well, because their clients are about to ask for the exit. */
const REMEMBERED = 64;
const REMEMBERED_NS = 60_000_000_000n;
/** However fast they come. */
const MOST_REMEMBERED = 4096;
/** One that was never started is forgotten after this long, and at once when so many others wait. */
const UNSTARTED_MS = 5 * 60_000;
const MOST_UNSTARTED = 1000;

interface Exec {
  readonly id: string;
  readonly workload: Workload;
  readonly request: ExecRequest;
  state: "created" | "running" | "ended";
  process: Process | undefined;
  exit: ExitStatus | undefined;
  endedNs: bigint;
}

export class Execs {
  private readonly context: Context;
  private readonly execs = new Map<string, Exec>();

  constructor(context: Context) {
    this.context = context;
  }

  create(workload: Workload, request: ExecRequest): { readonly id: string } {
    const sandbox = this.runningSandbox(workload);
    if (request.command.length === 0 || request.command[0] === "")
      throw new Failure("INVALID_SPEC", "No exec command specified", { remedy: "Name a command." });
    checkWords([...request.command, ...request.environment]);
    checkUser(request.user);
    checkInsidePath(request.workingDirectory ?? "", "the working directory");
    if (request.workingDirectory && !isAbsolute(request.workingDirectory))
      throw new Failure("INVALID_SPEC", `Cwd must be an absolute path: ${quote(request.workingDirectory)}`, { remedy: "Begin it with a slash." });
    const id = randomBytes(32).toString("hex");
    if (isDebug(request)) debugFacet(sandbox, workload);
    const settled = isDebug(request) ? holdTools(this.context, id, request) : request;
    this.add({ id, workload, request: settled, state: "created", process: undefined, exit: undefined, endedNs: 0n });
    this.context.clock.after(UNSTARTED_MS, () => this.forgetUnstarted(id));
    for (const old of this.unstarted(workload).slice(0, -MOST_UNSTARTED)) this.forgetUnstarted(old);
    announceWorkload(this.context, workload, "exec-created", attributesOf(id, settled));
    return { id };
  }

  async start(id: string, options: { readonly terminalSize?: TerminalSize; readonly detach: boolean }, call: Call): Promise<Attachment | undefined> {
    const exec = this.get(id);
    const { workload, request } = exec;
    if (exec.state !== "created")
      throw new Failure("WRONG_STATE", `exec ${id} has run or runs already`, { workload: workload.id, remedy: "Create another exec." });
    // Docker's clients know an exec of a stopped workload as one that is no more.
    if (!workload.isUp)
      throw new Failure("NOT_FOUND", `No such exec instance: ${id}: its workload does not run`, { workload: workload.id, remedy: "Start the workload." });
    const sandbox = this.runningSandbox(workload);
    const attach = options.detach ? { stdin: false, stdout: false, stderr: false } : request.attach;
    exec.state = "running";
    const record: ExecRecord = { version: 1, id, workload: workload.id, request };
    try {
      this.context.execRecords.put(id, record);
      const spec = { ...execProcess(workload, request, options), name: id };
      const { process, attachment } = await this.begin(sandbox, exec, { spec, attach }, call);
      this.follow(exec, process);
      this.context.execRecords.put(id, { ...record, number: process.number });
      announceWorkload(this.context, workload, "exec-started", attributesOf(id, request));
      if (!options.detach) return settledBeforeEnd(attachment, process);
      attachment.close();
      return undefined;
    } catch (thrown) {
      this.end(exec, { code: failedCode(toFailure(thrown)), outOfMemory: false, at: formatInstant(this.context.clock.nowNs()) });
      throw thrown;
    }
  }

  async resize(id: string, size: TerminalSize, call: Call): Promise<void> {
    const exec = this.get(id);
    const { process, workload, request } = exec;
    if (process === undefined || exec.state === "ended") throw new Failure("WRONG_STATE", `exec ${id} does not run`, { workload: workload.id });
    if (request.terminal) await askRunning(this.context, workload, () => process.resizeTerminal(size, call));
  }

  /** False where it has ended already. The process itself, not what it started. */
  async signal(id: string, name: string, call: Call): Promise<boolean> {
    const exec = this.get(id);
    const signal = parseSignal(name);
    if (exec.state === "ended") return false;
    if (exec.process === undefined) throw new Failure("WRONG_STATE", `exec ${id} does not run`, { workload: exec.workload.id, remedy: "Start it first." });
    const { process } = exec;
    return await askRunning(this.context, exec.workload, () => process.signal(signal, call));
  }

  view(id: string): ExecView {
    const { workload, request, state, exit, process } = this.get(id);
    return { id, workload: workload.id, request, running: state === "running", exit, hostPid: process?.hostPid };
  }

  /** After a restart of the daemon: the execs that still run are found again, the others are forgotten. */
  recover(workload: Workload, sandbox: Sandbox): void {
    const known = [...this.context.execRecords.all()].map(([, record]) => record).filter((record) => record.workload === workload.id);
    for (const record of known) this.recoverOne(workload, sandbox, record);
  }

  forget(workload: Workload): void {
    for (const id of workload.execs) {
      releaseTools(this.context, id);
      this.execs.delete(id);
      this.context.execRecords.delete(id);
    }
    workload.execs.clear();
  }

  private async begin(sandbox: Sandbox, { workload, request }: Exec, how: { readonly spec: ProcessSpec; readonly attach: AttachOptions }, call: Call) {
    const { context } = this;
    if (!isDebug(request)) {
      const facet = execFacet(sandbox, workload);
      return askRunning(context, workload, () => facet.run(how.spec, how.attach, call));
    }
    const facet = debugFacet(sandbox, workload);
    const root = await toolsRoot(context, workload, request, call);
    const spec = { ...how.spec, ...debugProcess(context.images.get(request.tools).configuration, request) };
    return askRunning(context, workload, () => facet.run(spec, root, how.attach, call));
  }

  private unstarted(workload: Workload): string[] {
    return [...workload.execs].filter((id) => this.execs.get(id)?.state === "created");
  }

  private forgetUnstarted(id: string): void {
    const exec = this.execs.get(id);
    if (exec?.state !== "created") return;
    releaseTools(this.context, id);
    this.execs.delete(id);
    exec.workload.execs.delete(id);
  }

  private recoverOne(workload: Workload, sandbox: Sandbox, record: ExecRecord): void {
    // Without a number the daemon before this one died while it began; it began if the sandbox knows it by name.
    const process = sandbox.exec?.find(record.number ?? record.id);
    if (process === undefined) return this.context.execRecords.delete(record.id);
    const exec: Exec = { id: record.id, workload, request: record.request, state: "running", process, exit: undefined, endedNs: 0n };
    if (isDebug(record.request)) holdToolsAgain(this.context, record.id, record.request);
    this.add(exec);
    this.follow(exec, process);
  }

  private add(exec: Exec): void {
    const { workload } = exec;
    this.execs.set(exec.id, exec);
    workload.execs.add(exec.id);
    const ended = [...workload.execs].flatMap((id) => this.execs.get(id) ?? []).filter(({ state }) => state === "ended");
    const recently = this.context.clock.nowNs() - REMEMBERED_NS;
    for (const [at, { id, endedNs }] of ended.entries()) {
      const newer = ended.length - at - 1;
      if (newer < REMEMBERED || (newer < MOST_REMEMBERED && endedNs > recently)) continue;
      this.execs.delete(id);
      workload.execs.delete(id);
    }
  }

  private follow(exec: Exec, process: Process): void {
    exec.process = process;
    void process.exited.then((status) => this.end(exec, status));
  }

  private end(exec: Exec, exit: ExitStatus): void {
    exec.state = "ended";
    exec.exit = exit;
    exec.endedNs = this.context.clock.nowNs();
    releaseTools(this.context, exec.id);
    try {
      this.context.execRecords.delete(exec.id);
    } catch (thrown) {
      this.context.log.error({ exec: exec.id, failure: toFailure(thrown).toJSON() }, "the end of an exec could not be written down");
    }
    announceWorkload(this.context, exec.workload, "exec-died", { execId: exec.id, exitCode: String(exit.code) });
  }

  private get(id: string): Exec {
    const exec = this.execs.get(id);
    if (exec === undefined)
      throw new Failure("NOT_FOUND", `No such exec instance: ${quote(id)}`, { remedy: "Create the exec anew: its workload has gone, or it is long over." });
    return exec;
  }

  private runningSandbox(workload: Workload): Sandbox {
    const { state, id } = workload.record;
    if (state === "paused")
      throw new Failure("WRONG_STATE", `Container ${id} is paused, unpause the container before exec`, { workload: id, remedy: "Resume it first." });
    if (workload.run === undefined || state !== "running") throw notRunning(workload);
    return workload.run.sandbox;
  }
}

function attributesOf(id: string, { command, tools }: ExecRequest): Readonly<Record<string, string>> {
  return { execId: id, command: command.join(" "), ...(tools === undefined ? {} : { tools }) };
}

function execFacet(sandbox: Sandbox, workload: Workload): NonNullable<Sandbox["exec"]> {
  if (sandbox.exec !== undefined) return sandbox.exec;
  const { kind } = sandbox.identity;
  throw new Failure("UNSUPPORTED", `${kind} cannot run a further process inside`, {
    workload: workload.id,
    boundary: kind,
    remedy: "Choose another boundary.",
  });
}

function execProcess(workload: Workload, request: ExecRequest, options: { readonly terminalSize?: TerminalSize; readonly detach: boolean }): ProcessSpec {
  const { main } = workload.record;
  const { terminalSize } = options;
  return {
    command: request.command,
    environment: mergeEnvironment(main.environment, request.terminal ? ["TERM=xterm"] : [], request.environment),
    workingDirectory: request.workingDirectory || main.workingDirectory,
    user: request.user || main.user,
    additionalGroups: main.additionalGroups,
    terminal: request.terminal,
    ...(terminalSize === undefined ? {} : { terminalSize }),
    stdin: request.attach.stdin && !options.detach,
    stdinOnce: true,
    privileged: request.privileged,
  };
}

/** The same attachment, whose output ends only after everyone who asks is told the exit. */
function settledBeforeEnd(attachment: Attachment, process: Process): Attachment {
  async function* output() {
    yield* attachment.output;
    await process.exited;
  }
  return {
    output: { [Symbol.asyncIterator]: output },
    write: (bytes) => attachment.write(bytes),
    endInput: () => attachment.endInput(),
    close: () => attachment.close(),
  };
}

function failedCode(failure: Failure): number {
  return failure.code === "COMMAND_NOT_FOUND" ? 127 : 126;
}
