import { expect } from "vitest";
import { failureCode, OUTPUT, readUntil } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

const exitCase = (code: number): ConformanceCase => ({
  title: `exit code ${code} is reported as it is`,
  async run(stage) {
    expect((await stage.run(stage.say.exit(code))).status).toMatchObject({ code, outOfMemory: false });
  },
});

export const EXIT_CASES: readonly ConformanceCase[] = [
  ...[0, 1, 42, 255].map(exitCase),
  {
    title: "a command that does not exist is COMMAND_NOT_FOUND, and the sandbox ends with 127",
    async run(stage) {
      const { sandbox } = await stage.raise(["/no/such/command"]);
      expect(await failureCode(sandbox.start(stage.call))).toBe("COMMAND_NOT_FOUND");
      await sandbox.ended;
    },
  },
  {
    title: "a command that is looked up in PATH and not found is COMMAND_NOT_FOUND",
    async run(stage) {
      const { sandbox } = await stage.raise(["no-such-command"]);
      expect(await failureCode(sandbox.start(stage.call))).toBe("COMMAND_NOT_FOUND");
      await sandbox.ended;
    },
  },
  {
    title: "a command that cannot be executed is COMMAND_NOT_EXECUTABLE, and the sandbox ends",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.notExecutable());
      expect(await failureCode(sandbox.start(stage.call))).toBe("COMMAND_NOT_EXECUTABLE");
      await sandbox.ended;
    },
  },
  {
    title: "SIGKILL ends it with 137 and the signal's name",
    async run(stage) {
      const { sandbox } = await stage.raiseSleeper();
      expect(await sandbox.main.signal("SIGKILL", stage.call)).toBe(true);
      const { status } = await sandbox.ended;
      expect(status.code).toBe(137);
      if (status.signal !== undefined) expect(status.signal).toBe("SIGKILL");
      expect(status.outOfMemory).toBe(false);
    },
  },
  {
    title: "a signal that is trapped is the program's to answer",
    needsKernel: true,
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.trap("SIGTERM", 7));
      const attachment = await sandbox.main.attach(OUTPUT, stage.call);
      await sandbox.start(stage.call);
      await readUntil(attachment.output[Symbol.asyncIterator](), "ready");
      expect(await sandbox.main.signal("SIGTERM", stage.call)).toBe(true);
      expect((await sandbox.ended).status.code).toBe(7);
    },
  },
  {
    title: "other signals arrive under their own name",
    needsKernel: true,
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.trap("SIGUSR1", 9));
      const attachment = await sandbox.main.attach(OUTPUT, stage.call);
      await sandbox.start(stage.call);
      await readUntil(attachment.output[Symbol.asyncIterator](), "ready");
      await sandbox.main.signal("SIGUSR1", stage.call);
      expect((await sandbox.ended).status.code).toBe(9);
    },
  },
  {
    title: "a signal to an ended process is told as not delivered",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.exit(0));
      await sandbox.start(stage.call);
      await sandbox.ended;
      expect(await sandbox.main.signal("SIGTERM", stage.call)).toBe(false);
    },
  },
];
