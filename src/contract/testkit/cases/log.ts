import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { expect } from "vitest";
import type { LogSpec } from "../../spec.ts";
import type { Stage } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

interface Line {
  readonly log: string;
  readonly stream: string;
  readonly time: string;
}

async function linesOf(path: string): Promise<readonly Line[]> {
  const text = await readFile(path, "utf8");
  return text === ""
    ? []
    : text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Line);
}

async function logged(stage: Stage, command: readonly string[], log: Partial<Extract<LogSpec, { kind: "json-file" }>> = {}) {
  const { spec, bundle } = await stage.prepare();
  if (spec.log.kind !== "json-file") throw new Error("the harness's spec must log to a json-file");
  const own = { ...spec.log, ...log };
  const again = await stage.driver.prepare({ ...spec, log: own }, bundle.directory, stage.call);
  const sandbox = await stage.driver.launch(again, stage.process(command), stage.call);
  await sandbox.start(stage.call);
  await sandbox.ended;
  return own.path;
}

export const LOG_CASES: readonly ConformanceCase[] = [
  {
    title: "the log holds exactly the lines that were printed, with stream and instant, when ended is told",
    async run(stage) {
      const lines = await linesOf(await logged(stage, stage.say.tick(5, 1)));
      expect(lines.map(({ log, stream }) => `${stream} ${log}`)).toEqual([1, 2, 3, 4, 5].map((number) => `stdout tick ${number}\n`));
      for (const { time } of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/);
      expect(lines.map(({ time }) => time)).toEqual(lines.map(({ time }) => time).sort());
    },
  },
  {
    title: "stderr is logged as stderr",
    async run(stage) {
      const lines = await linesOf(await logged(stage, stage.say.print("stderr", "a complaint\n")));
      expect(lines.map(({ log, stream }) => [stream, log])).toEqual([["stderr", "a complaint\n"]]);
    },
  },
  {
    title: "a last line without its newline is logged without one",
    async run(stage) {
      const lines = await linesOf(await logged(stage, stage.say.print("stdout", "whole\npart")));
      expect(lines.map(({ log }) => log)).toEqual(["whole\n", "part"]);
    },
  },
  {
    title: "a line too long for one entry is cut into several, and only the last has the newline",
    async run(stage) {
      const text = "y".repeat(20_000);
      const lines = await linesOf(await logged(stage, stage.say.print("stdout", `${text}\n`)));
      expect(lines.map(({ log }) => log).join("")).toBe(`${text}\n`);
      expect(lines.length).toBeGreaterThan(1);
      expect(lines.filter(({ log }) => log.endsWith("\n")).length).toBe(1);
    },
  },
  {
    title: "a full file is put aside, no more files are kept than asked for, and no line is lost between them",
    async run(stage) {
      const path = await logged(stage, stage.say.tick(200, 0), { maxBytes: 4096, maxFiles: 3 });
      expect(existsSync(`${path}.1`)).toBe(true);
      expect(existsSync(`${path}.3`)).toBe(false);
      const numbers = [...(await linesOf(`${path}.2`)), ...(await linesOf(`${path}.1`)), ...(await linesOf(path))].map(({ log }) => Number(log.slice(5)));
      const first = numbers[0] ?? 0;
      expect(numbers).toEqual(Array.from({ length: 200 - first + 1 }, (_, index) => first + index));
    },
  },
  {
    title: "with the log switched off nothing is kept",
    async run(stage) {
      const { sandbox, bundle } = await stage.raise(stage.say.print("stdout", "unheard\n"), {}, { log: { kind: "none" } });
      await sandbox.start(stage.call);
      await sandbox.ended;
      expect(existsSync(`${bundle.directory}/log.json`)).toBe(false);
    },
  },
];
