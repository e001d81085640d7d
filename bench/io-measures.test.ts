import { expect, it } from "vitest";
import { measureDisk, measureNetwork } from "./io-measures.ts";
import type { Subject } from "./subject.ts";

const bare: Subject = {
  description: { id: "fake", engine: "", version: "", emulated: false },
  start: () => Promise.resolve({ exit: 0 }),
  command: (_metric, command) => command.join(" "),
  close: () => Promise.resolve(),
};

it("writes in each manner on the root and on a volume, and gives the time of one write", async () => {
  const asked: string[] = [];
  const write: Subject["write"] = (measure, place) => {
    asked.push(`${measure} ${place}`);
    return Promise.resolve({ measure, operations: 10, nanoseconds: 5000 });
  };
  const measures = measureDisk({ ...bare, write }, 5);
  expect(measures.map(({ name }) => name)).toEqual(
    ["sequential", "random", "synced"].flatMap((manner) => ["rootfs", "volume"].map((place) => `disk_${manner}_${place}`)),
  );
  expect(await measures[1]?.sample()).toEqual([{ metric: "disk_sequential_volume", value: 500, unit: "ns", command: "/gauge disk-sequential /volume" }]);
  expect(asked).toEqual(["disk-sequential volume"]);
});

it("stops the server, also where nothing answers", async () => {
  let stopped = 0;
  const serve: Subject["serve"] = () => Promise.resolve({ address: "127.0.0.1:1", stop: () => Promise.resolve(void (stopped += 1)) });
  const [measure] = measureNetwork({ ...bare, serve }, { rounds: 1, gaugePath: "/nowhere/gauge" });
  await expect(measure?.sample()).rejects.toThrow(/ENOENT/);
  expect(stopped).toBe(1);
});

it("measures neither of what has neither, nor where there is no time", () => {
  const able: Subject = { ...bare, write: () => Promise.reject(new Error("asked")), serve: () => Promise.reject(new Error("asked")) };
  for (const [subject, rounds] of [
    [bare, 5],
    [able, 0],
  ] as const)
    expect([...measureDisk(subject, rounds), ...measureNetwork(subject, { rounds, gaugePath: "" })]).toEqual([]);
});
