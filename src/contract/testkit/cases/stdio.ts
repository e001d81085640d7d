import { expect } from "vitest";
import { ALL_STREAMS, failureCode, OUTPUT, pause, read, readUntil, until } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

const MEBIBYTE = 1024 * 1024;

/** Every byte there is, in an order that is not the natural one. */
const everyByte = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 255));

export const STDIO_CASES: readonly ConformanceCase[] = [
  {
    title: "stdout and stderr arrive apart",
    async run(stage) {
      const out = await stage.run(stage.say.print("stdout", "to out"));
      expect([out.stdout.toString(), out.stderr.toString()]).toEqual(["to out", ""]);
      const err = await stage.run(stage.say.print("stderr", "to err"));
      expect([err.stdout.toString(), err.stderr.toString()]).toEqual(["", "to err"]);
    },
  },
  {
    title: "output keeps every byte",
    async run(stage) {
      const bytes = everyByte(256);
      const { stdout } = await stage.run(stage.say.print("stdout", bytes.toString("latin1")));
      expect(stdout.equals(bytes)).toBe(true);
    },
  },
  {
    title: "stdin goes through byte for byte, to its end",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.cat(), { stdin: true, stdinOnce: true });
      const attachment = await sandbox.main.attach(ALL_STREAMS, stage.call);
      await sandbox.start(stage.call);
      const bytes = everyByte(200_000);
      const reading = read(attachment);
      for (let at = 0; at < bytes.length; at += 33_333) await attachment.write(bytes.subarray(at, at + 33_333));
      await attachment.endInput();
      expect((await reading).stdout.equals(bytes)).toBe(true);
      expect((await sandbox.ended).status.code).toBe(0);
    },
  },
  {
    title: "after the end of input, output goes on and writing is refused",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.count(), { stdin: true, stdinOnce: true });
      const attachment = await sandbox.main.attach(ALL_STREAMS, stage.call);
      await sandbox.start(stage.call);
      await attachment.write(Buffer.from("twelve bytes"));
      await attachment.endInput();
      expect(await failureCode(attachment.write(Buffer.from("more")))).toBe("WRONG_STATE");
      expect((await read(attachment)).stdout.toString().trim()).toBe("12");
    },
  },
  {
    title: "without stdin the program reads end-of-file at once",
    async run(stage) {
      const { stdout } = await stage.run(stage.say.count());
      expect(stdout.toString().trim()).toBe("0");
    },
  },
  {
    title: "ten megabytes come out whole",
    async run(stage) {
      const { stdout, status } = await stage.run(stage.say.spew(10 * MEBIBYTE));
      expect(stdout.length).toBe(10 * MEBIBYTE);
      expect(status.code).toBe(0);
    },
  },
  {
    title: "ten megabytes go in whole",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.count(), { stdin: true, stdinOnce: true });
      const attachment = await sandbox.main.attach(ALL_STREAMS, stage.call);
      await sandbox.start(stage.call);
      const block = Buffer.alloc(64 * 1024, 1);
      for (let sent = 0; sent < 10 * MEBIBYTE; sent += block.length) await attachment.write(block);
      await attachment.endInput();
      expect((await read(attachment)).stdout.toString().trim()).toBe(String(10 * MEBIBYTE));
    },
  },
  {
    title: "a reader that does not read stops the writer, and loses nothing",
    async run(stage) {
      const { spec, sandbox } = await stage.raise(stage.say.spew(32 * MEBIBYTE), {}, { log: { kind: "none" } });
      const attachment = await sandbox.main.attach(OUTPUT, stage.call);
      await sandbox.start(stage.call);
      let ended = false;
      void sandbox.ended.then(() => (ended = true));
      await pause(1000);
      expect(ended).toBe(false);
      const buffered = await stage.harness.bufferedBytes?.(spec.workload);
      if (buffered !== undefined) expect(buffered).toBeLessThan(16 * MEBIBYTE);
      expect((await read(attachment)).stdout.length).toBe(32 * MEBIBYTE);
      expect((await sandbox.ended).status.code).toBe(0);
    },
  },
  {
    title: "several clients are attached at once, and each gets everything",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.tick(3, 10));
      const attachments = await Promise.all([1, 2, 3].map(() => sandbox.main.attach(OUTPUT, stage.call)));
      await sandbox.start(stage.call);
      const outputs = await Promise.all(attachments.map(read));
      expect(outputs.map(({ stdout }) => stdout.toString())).toEqual(Array(3).fill("tick 1\ntick 2\ntick 3\n"));
    },
  },
  {
    title: "closing an attachment detaches, and the process runs on",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.tick(20, 50));
      const first = await sandbox.main.attach(OUTPUT, stage.call);
      await sandbox.start(stage.call);
      await readUntil(first.output[Symbol.asyncIterator](), "tick 1\n");
      first.close();
      const second = await sandbox.main.attach(OUTPUT, stage.call);
      await readUntil(second.output[Symbol.asyncIterator](), "tick 20\n");
      expect((await sandbox.ended).status.code).toBe(0);
    },
  },
  {
    title: "with stdin kept open, the first client's end of input is not the program's",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.cat(), { stdin: true });
      const first = await sandbox.main.attach(ALL_STREAMS, stage.call);
      await sandbox.start(stage.call);
      await first.endInput();
      first.close();
      const second = await sandbox.main.attach(ALL_STREAMS, stage.call);
      await second.write(Buffer.from("still open"));
      expect(await readUntil(second.output[Symbol.asyncIterator](), "still open")).toBe("still open");
    },
  },
  {
    title: "a terminal is one, and everything comes out of stdout",
    needsKernel: true,
    async run(stage) {
      const inside = await stage.run(stage.say.terminal(), { terminal: true, stdin: true });
      expect(inside.stdout.toString()).toBe("yes\r\n");
      const piped = await stage.run(stage.say.terminal());
      expect(piped.stdout.toString()).toBe("no\n");
      const error = await stage.run(stage.say.print("stderr", "oops"), { terminal: true });
      expect([error.stdout.toString(), error.stderr.toString()]).toEqual(["oops", ""]);
    },
  },
  {
    title: "a terminal's reader learns that the only client has ended its input",
    needsKernel: true,
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.cat(), { terminal: true, stdin: true, stdinOnce: true });
      const attachment = await sandbox.main.attach(ALL_STREAMS, stage.call);
      await sandbox.start(stage.call);
      await attachment.write(Buffer.from("a line\n"));
      await attachment.endInput();
      expect((await read(attachment)).stdout.toString()).toContain("a line");
      expect((await sandbox.ended).status.code).toBe(0);
    },
  },
  {
    title: "a program behind an init of ours learns the end of its input, and its code is told",
    needsKernel: true,
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.count(), { stdin: true, stdinOnce: true }, { init: true });
      const attachment = await sandbox.main.attach(ALL_STREAMS, stage.call);
      await sandbox.start(stage.call);
      await attachment.write(Buffer.from("four"));
      await attachment.endInput();
      expect((await read(attachment)).stdout.toString().trim()).toBe("4");
      expect((await sandbox.ended).status.code).toBe(0);
    },
  },
  {
    title: "a terminal has the size that was asked for, and takes another",
    needsKernel: true,
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.size(true), { terminal: true, stdin: true, terminalSize: { rows: 31, columns: 101 } });
      const attachment = await sandbox.main.attach(OUTPUT, stage.call);
      const output = attachment.output[Symbol.asyncIterator]();
      await sandbox.start(stage.call);
      expect(await readUntil(output, "\n")).toContain("31 101");
      await sandbox.main.resizeTerminal({ rows: 40, columns: 120 }, stage.call);
      expect(await readUntil(output, "\n")).toContain("40 120");
    },
  },
  {
    title: "a process without a terminal refuses a size",
    async run(stage) {
      const { sandbox } = await stage.raiseSleeper();
      expect(await failureCode(sandbox.main.resizeTerminal({ rows: 1, columns: 1 }, stage.call))).toBe("UNSUPPORTED");
    },
  },
  {
    title: "with nobody attached the program is not held up",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.spew(4 * MEBIBYTE), {}, { log: { kind: "none" } });
      await sandbox.start(stage.call);
      let ended = false;
      void sandbox.ended.then(() => (ended = true));
      await until(() => ended, 20_000);
    },
  },
];
