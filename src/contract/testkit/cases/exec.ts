import { expect } from "vitest";
import { ALL_STREAMS, failureCode, need, OUTPUT, read, readUntil } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

const exec = (title: string, run: ConformanceCase["run"]): ConformanceCase => ({ title, needs: "exec", run });

export const EXEC_CASES: readonly ConformanceCase[] = [
  exec("an exec has output and an exit code of its own", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const out = await stage.exec(sandbox, stage.say.print("stdout", "from exec"));
    expect([out.stdout.toString(), out.stderr.toString(), out.status.code]).toEqual(["from exec", "", 0]);
    const err = await stage.exec(sandbox, stage.say.print("stderr", "its stderr"));
    expect([err.stdout.toString(), err.stderr.toString()]).toEqual(["", "its stderr"]);
    expect((await stage.exec(sandbox, stage.say.exit(42))).status.code).toBe(42);
  }),
  exec("an exec reads what is written to it", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const { attachment, process } = await need(sandbox.exec).run(stage.process(stage.say.cat(), { stdin: true, stdinOnce: true }), ALL_STREAMS, stage.call);
    await attachment.write(Buffer.from("through and back"));
    await attachment.endInput();
    expect((await read(attachment)).stdout.toString()).toBe("through and back");
    expect((await process.exited).code).toBe(0);
  }),
  exec("an exec has a terminal where it asks for one", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const size = { rows: 33, columns: 99 };
    const { stdout } = await stage.exec(sandbox, stage.say.size(false), { terminal: true, stdin: true, terminalSize: size });
    expect(stdout.toString().trim()).toBe("33 99");
  }),
  exec("execs run side by side, and each keeps its own", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const results = await Promise.all([1, 2, 3, 4].map((number) => stage.exec(sandbox, stage.say.print("stdout", `number ${number}`))));
    expect(results.map(({ stdout }) => stdout.toString())).toEqual([1, 2, 3, 4].map((number) => `number ${number}`));
  }),
  exec("an exec lands behind the same boundary: its kernel is the main process's", async (stage) => {
    const first = await stage.run(stage.say.kernel());
    const { sandbox } = await stage.raiseSleeper();
    const inside = await stage.exec(sandbox, stage.say.kernel());
    expect(inside.stdout.toString().trim()).not.toBe("");
    expect(inside.stdout.toString()).toBe(first.stdout.toString());
  }),
  exec("an exec sees the main process's files and has its own environment and directory", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    expect((await stage.exec(sandbox, stage.say.write("/shared-by-exec", "seen"))).status.code).toBe(0);
    expect((await stage.exec(sandbox, stage.say.read("/shared-by-exec"))).stdout.toString()).toBe("seen");
    const environment = ["PATH=/bin:/usr/bin:/sbin:/usr/sbin", "ONLY_HERE=yes"];
    expect((await stage.exec(sandbox, stage.say.environment(), { environment })).stdout.toString()).toContain("ONLY_HERE=yes\n");
    expect((await stage.exec(sandbox, stage.say.directory(), { workingDirectory: "/etc" })).stdout.toString()).toBe("/etc\n");
  }),
  exec("an exec runs as the user that it asks for", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    expect((await stage.exec(sandbox, stage.say.user(), { user: "1000:1000" })).stdout.toString().trim()).toBe("1000:1000");
  }),
  exec("an exec of what does not exist or cannot run is told, and harms nothing", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const run = (command: readonly string[]) => failureCode(need(sandbox.exec).run(stage.process(command), OUTPUT, stage.call));
    expect(await run(["/no/such/command"])).toBe("COMMAND_NOT_FOUND");
    expect(await run(stage.say.notExecutable())).toBe("COMMAND_NOT_EXECUTABLE");
    expect((await stage.exec(sandbox, stage.say.exit(0))).status.code).toBe(0);
  }),
  exec("an exec is signalled without the main process", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const { process } = await need(sandbox.exec).run(stage.process(stage.say.sleep(600)), OUTPUT, stage.call);
    expect(await process.signal("SIGKILL", stage.call)).toBe(true);
    expect((await process.exited).code).toBe(137);
    expect((await stage.exec(sandbox, stage.say.exit(5))).status.code).toBe(5);
  }),
  exec("an exec before start and after the end is WRONG_STATE", async (stage) => {
    const { sandbox } = await stage.raise(stage.say.exit(0));
    const run = () => failureCode(need(sandbox.exec).run(stage.process(stage.say.exit(0)), OUTPUT, stage.call));
    expect(await run()).toBe("WRONG_STATE");
    await sandbox.start(stage.call);
    await sandbox.ended;
    expect(await run()).toBe("WRONG_STATE");
  }),
  exec("the end of the main process ends its execs", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const { process, attachment } = await need(sandbox.exec).run(stage.process(stage.say.sleep(600)), OUTPUT, stage.call);
    await sandbox.main.signal("SIGKILL", stage.call);
    expect((await process.exited).code).toBe(137);
    await read(attachment);
  }),
  exec("an exec that nobody is joined to runs to its end", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const none = { stdin: false, stdout: false, stderr: false };
    const { process, attachment } = await need(sandbox.exec).run(stage.process(stage.say.tick(3, 10)), none, stage.call);
    attachment.close();
    expect((await process.exited).code).toBe(0);
  }),
  exec("ten megabytes come out of an exec whole", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    expect((await stage.exec(sandbox, stage.say.spew(10 * 1024 * 1024))).stdout.length).toBe(10 * 1024 * 1024);
  }),
  exec("a flooding exec that nobody reads does not hold up another", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const flood = await need(sandbox.exec).run(stage.process(stage.say.spew(64 * 1024 * 1024)), OUTPUT, stage.call);
    const quick = await stage.exec(sandbox, stage.say.print("stdout", "not held up"));
    expect(quick.stdout.toString()).toBe("not held up");
    await flood.process.signal("SIGKILL", stage.call);
    flood.attachment.close();
  }),
  exec("what an exec prints is not in the workload's log", async (stage) => {
    const { spec, sandbox } = await stage.raiseSleeper();
    await stage.exec(sandbox, stage.say.print("stdout", "exec only"));
    const { readFile } = await import("node:fs/promises");
    if (spec.log.kind === "json-file") expect(await readFile(spec.log.path, "utf8")).not.toContain("exec only");
    const { process, attachment } = await need(sandbox.exec).run(stage.process(stage.say.trap("SIGUSR2", 3)), OUTPUT, stage.call);
    await readUntil(attachment.output[Symbol.asyncIterator](), "ready");
    await process.signal("SIGUSR2", stage.call);
    expect((await process.exited).code).toBe(3);
  }),
];
