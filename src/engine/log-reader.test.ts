import { appendFileSync, existsSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { FakeLog } from "../contract/testkit/fake-log.ts";
import { formatInstant, parseInstant } from "./clock.ts";
import type { LogEntry, LogQuery } from "./index.ts";
import { readLog } from "./log-reader.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";
import type { Workload } from "./workload.ts";

const EVERYTHING: LogQuery = { stdout: true, stderr: true, follow: false, tail: undefined, sinceNs: undefined, untilNs: undefined };

let directory: string;
let path: string;
let workload: Workload;
let live: boolean;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-log-"));
  path = join(directory, "log.json");
  live = false;
  workload = {
    watchers: new Set(),
    get isLive() {
      return live;
    },
  } as unknown as Workload;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const line = (number: number, stream = "stdout") =>
  `${JSON.stringify({ log: `line ${number}\n`, stream, time: formatInstant(1_800_000_000_000_000_000n + BigInt(number) * 1_000_000_000n) })}\n`;
const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => line(from + index)).join("");

const numberOf = ({ bytes }: LogEntry) => Number(Buffer.from(bytes).toString().slice(5));
const textOf = ({ bytes }: LogEntry) => Buffer.from(bytes).toString();

async function read(query: Partial<LogQuery> = {}, maxFiles = 5, signal = new AbortController().signal): Promise<number[]> {
  const numbers: number[] = [];
  for await (const entries of readLog({ path, maxFiles }, { ...EVERYTHING, ...query }, workload, signal)) numbers.push(...entries.map(numberOf));
  return numbers;
}
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("reading a log", () => {
  it("gives every line of every file, oldest first", async () => {
    writeFileSync(`${path}.2`, lines(1, 3));
    writeFileSync(`${path}.1`, lines(4, 6));
    writeFileSync(path, lines(7, 9));
    expect(await read()).toEqual(range(1, 9));
  });

  it("gives the last lines, across files, and none for zero", async () => {
    writeFileSync(`${path}.1`, lines(1, 5000));
    writeFileSync(path, lines(5001, 5003));
    expect(await read({ tail: 2 })).toEqual([5002, 5003]);
    expect(await read({ tail: 3 })).toEqual(range(5001, 5003));
    expect(await read({ tail: 1500 })).toEqual(range(3504, 5003));
    expect(await read({ tail: 9999 })).toEqual(range(1, 5003));
    expect(await read({ tail: 0 })).toEqual([]);
  });

  it("ends where the log ended when it was asked for, however fast more is written meanwhile", async () => {
    writeFileSync(path, lines(1, 5));
    live = true;
    let next = 6;
    const numbers: number[] = [];
    for await (const entries of readLog({ path, maxFiles: 5 }, { ...EVERYTHING, tail: 2 }, workload, new AbortController().signal)) {
      numbers.push(...entries.map(numberOf));
      if (next < 2000) appendFileSync(path, lines(next, (next += 100) - 1));
    }
    expect(numbers).toEqual([4, 5]);
  });

  it("keeps to the streams and the times that were asked for", async () => {
    writeFileSync(path, line(1) + line(2, "stderr") + line(3) + line(4));
    expect(await read({ stdout: false })).toEqual([2]);
    expect(await read({ stderr: false })).toEqual([1, 3, 4]);
    const at = (number: number) => 1_800_000_000_000_000_000n + BigInt(number) * 1_000_000_000n;
    expect(await read({ sinceNs: at(2), untilNs: at(3) })).toEqual([2, 3]);
  });

  it("of a workload that never ran is empty", async () => {
    expect(await read()).toEqual([]);
  });

  it("passes over a line that was torn by a power cut", async () => {
    writeFileSync(path, `${line(1)}{"log":"line 2\\n","str\n${line(3)}{"log":"li`);
    expect(await read()).toEqual([1, 3]);
  });

  it("gives instants nine digits", async () => {
    writeFileSync(path, '{"log":"line 1\\n","stream":"stderr","time":"2026-11-21T10:00:00.5Z"}\n');
    const entries = await Array.fromAsync(readLog({ path, maxFiles: 1 }, EVERYTHING, workload, new AbortController().signal));
    expect(entries.flat()).toMatchObject([{ stream: "stderr", at: "2026-11-21T10:00:00.500000000Z" }]);
    expect(parseInstant("2026-11-21T10:00:00.5Z")).toBe(BigInt(Date.parse("2026-11-21T10:00:00.5Z")) * 1_000_000n);
  });
});

describe("following a log", () => {
  const end = () => {
    live = false;
    for (const watcher of workload.watchers) watcher();
  };

  it("waits for what is written, and ends with the workload", async () => {
    live = true;
    writeFileSync(path, lines(1, 2));
    const reading = read({ follow: true });
    await new Promise((resolve) => setTimeout(resolve, 50));
    appendFileSync(path, lines(3, 4));
    await new Promise((resolve) => setTimeout(resolve, 50));
    appendFileSync(path, lines(5, 5));
    end();
    expect(await reading).toEqual(range(1, 5));
  });

  it("ends when the reader goes away", async () => {
    live = true;
    writeFileSync(path, lines(1, 1));
    const abort = new AbortController();
    const seen: number[] = [];
    for await (const entries of readLog({ path, maxFiles: 5 }, { ...EVERYTHING, follow: true }, workload, abort.signal)) {
      seen.push(...entries.map(numberOf));
      setTimeout(() => abort.abort(), 5);
    }
    expect(seen).toEqual([1]);
  });

  it("puts a line together that arrives in pieces", async () => {
    live = true;
    const whole = line(1);
    writeFileSync(path, whole.slice(0, 20));
    const reading = read({ follow: true });
    await new Promise((resolve) => setTimeout(resolve, 30));
    appendFileSync(path, whole.slice(20));
    end();
    expect(await reading).toEqual([1]);
  });

  it("loses and doubles nothing while files are rotated as fast as they can be", async () => {
    live = true;
    const count = 4000;
    writeFileSync(path, "");
    const reading = read({ follow: true }, 50);
    for (let number = 1; number <= count; number++) {
      appendFileSync(path, line(number));
      if (number % 100 === 0) {
        for (let file = 48; file >= 1; file--) if (existsSync(`${path}.${file}`)) renameSync(`${path}.${file}`, `${path}.${file + 1}`);
        renameSync(path, `${path}.1`);
        if (number % 300 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      if (number % 37 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (!existsSync(path)) writeFileSync(path, "");
    end();
    expect(await reading).toEqual(range(1, count));
  });

  it("loses nothing of a log of one file when another takes its name, though it reads late", async () => {
    live = true;
    writeFileSync(path, lines(1, 2000));
    const entries = readLog({ path, maxFiles: 1 }, { ...EVERYTHING, follow: true }, workload, new AbortController().signal);
    const numbers: number[] = [];
    const readSome = async () => {
      const { value, done } = await entries.next();
      if (done !== true) numbers.push(...value.map(numberOf));
      return done !== true;
    };
    await readSome();
    expect(numbers.length).toBeLessThan(2000);
    appendFileSync(path, lines(2001, 2020));
    writeFileSync(`${path}.new`, "");
    renameSync(`${path}.new`, path);
    appendFileSync(path, lines(2021, 2022));
    end();
    while (await readSome());
    expect(numbers).toEqual(range(1, 2022));
  });

  it("goes on when a log of one file is cut to nothing", async () => {
    live = true;
    writeFileSync(path, lines(1, 20));
    const reading = read({ follow: true }, 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    truncateSync(path, 0);
    appendFileSync(path, lines(21, 22));
    await new Promise((resolve) => setTimeout(resolve, 50));
    end();
    expect(await reading).toEqual(range(1, 22));
  });
});

describe("logs of a workload", () => {
  let world: World;
  const call = plainCall();
  beforeEach(() => {
    world = makeWorld();
  });
  afterEach(() => world.dispose());

  it("are what it printed, followed to its end", async () => {
    const { id } = await world.engine.create(makeRequest({ command: ["tick", "5", "100"], log: { driver: "json-file", maxBytes: 150, maxFiles: 9 } }), call);
    await world.engine.start(id, call);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const entries of world.engine.logs(id, { ...EVERYTHING, follow: true }, call)) seen.push(...entries.map(textOf));
    })();
    await settle();
    await world.clock.pass(600);
    await reading;
    expect(seen).toEqual([1, 2, 3, 4, 5].map((number) => `tick ${number}\n`));
  });

  it("of an unknown workload or one that keeps none are refused at once", async () => {
    expect(() => world.engine.logs("nothing", EVERYTHING, call)).toThrow("No such container");
    const { id } = await world.engine.create(makeRequest({ log: { driver: "none" } }), call);
    expect(() => world.engine.logs(id, EVERYTHING, call)).toThrow("does not support reading");
  });

  it("are cut into entries as the supervisor cuts them", async () => {
    const log = new FakeLog({ kind: "json-file", path, maxFiles: 1 }, () => "2026-11-21T10:00:00.5Z");
    log.write("stdout", Buffer.from("part"));
    log.write("stdout", Buffer.from(" and rest\nend"));
    log.finish();
    const entries = await Array.fromAsync(readLog({ path, maxFiles: 1 }, EVERYTHING, workload, new AbortController().signal));
    expect(entries.flat().map(textOf)).toEqual(["part and rest\n", "end"]);
  });
});
