import { describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { formatInstant, parseInstant, systemClock } from "./clock.ts";
import { EventBus } from "./events.ts";
import { mergeCommand, mergeEnvironment, mergeHealthCheck } from "./merge.ts";
import { Mutex } from "./mutex.ts";
import { checkName, makeName } from "./names.ts";
import { nextDelayMs, wantsRestart, wantsStartAtBoot } from "./restart-policy.ts";
import { chooseCapabilities } from "./security.ts";
import { parseSignal } from "./signals.ts";
import { ManualClock } from "./testkit/manual-clock.ts";
import { EMPTY_CONFIGURATION } from "./testkit/neighbours.ts";
import { makeRequest } from "./testkit/world.ts";
import type { EngineEvent } from "./index.ts";

describe("the command", () => {
  const image = { ...EMPTY_CONFIGURATION, entrypoint: ["entry"], command: ["default"] };
  const merge = (entrypoint?: readonly string[], command?: readonly string[]) =>
    mergeCommand(image, makeRequest({ ...(entrypoint === undefined ? {} : { entrypoint }), ...(command === undefined ? {} : { command }) }));

  it("is the image's where nothing is asked for", () => expect(merge()).toEqual(["entry", "default"]));
  it("keeps the image's entrypoint before a command of the caller's", () => expect(merge(undefined, ["mine"])).toEqual(["entry", "mine"]));
  it("drops the image's command with an entrypoint of the caller's", () => expect(merge(["other"])).toEqual(["other"]));
  it("has no entrypoint where one empty word asks for none", () => expect(merge([""], ["mine"])).toEqual(["mine"]));
  it("is refused where nothing is left", () => expect(() => merge([""])).toThrow("no command specified"));
});

describe("the environment", () => {
  it("lets later lists win and keep the place, and a bare name take away", () => {
    expect(mergeEnvironment(["A=1", "B=2"], ["A=3", "B", "C=x=y"])).toEqual(["A=3", "C=x=y"]);
  });
});

describe("the health check", () => {
  it("comes from the image, is switched off by NONE, and fills its gaps", () => {
    const image = { ...EMPTY_CONFIGURATION, healthCheck: { test: ["CMD", "x"], intervalNs: 5e9 } };
    expect(mergeHealthCheck(image, makeRequest())).toEqual({ test: ["CMD", "x"], intervalMs: 5000, timeoutMs: 30_000, startPeriodMs: 0, retries: 3 });
    const none = { test: ["NONE"], intervalMs: 0, timeoutMs: 0, startPeriodMs: 0, retries: 0 };
    expect(mergeHealthCheck(image, makeRequest({ healthCheck: none }))).toBeUndefined();
    expect(mergeHealthCheck(image, makeRequest({ healthCheck: { ...none, test: [], retries: 9 } }))).toMatchObject({ test: ["CMD", "x"], retries: 9 });
  });
});

describe("names", () => {
  it("obey Docker's rule", () => {
    for (const good of ["ab", "a1", "A_b.c-d", "/slash"]) expect(() => checkName(good)).not.toThrow();
    for (const bad of ["", "a", "-ab", ".ab", "a b", "a/b", "ä1"]) expect(() => checkName(bad)).toThrow("Invalid container name");
  });
  it("that are made up avoid those taken", () => {
    const taken = new Set<string>();
    for (let count = 0; count < 2000; count++) {
      const name = makeName((known) => taken.has(known));
      expect(taken.has(name)).toBe(false);
      expect(() => checkName(name)).not.toThrow();
      taken.add(name);
    }
  });
});

describe("signals", () => {
  it("are known by name, with and without prefix, and by number", () => {
    expect(["TERM", "sigterm", "15", "SIGKILL", "9", "RTMIN+3", "37"].map(parseSignal)).toEqual([
      "SIGTERM",
      "SIGTERM",
      "SIGTERM",
      "SIGKILL",
      "SIGKILL",
      "SIGRTMIN+3",
      "SIGRTMIN+3",
    ]);
    for (const bad of ["", "0", "99", "SIGFOO"]) expect(() => parseSignal(bad)).toThrow("Invalid signal");
  });
});

describe("capabilities", () => {
  it("are Docker's fourteen, and what is added and dropped", () => {
    expect(chooseCapabilities([], [])).toHaveLength(14);
    expect(chooseCapabilities([], ["ALL"])).toEqual([]);
    expect(chooseCapabilities(["NET_ADMIN"], ["ALL"])).toEqual(["CAP_NET_ADMIN"]);
    expect(chooseCapabilities(["ALL"], ["SYS_ADMIN"])).not.toContain("CAP_SYS_ADMIN");
    expect(chooseCapabilities(["ALL"], [])).toHaveLength(41);
    expect(chooseCapabilities(["cap_sys_time"], ["chown"])).toContain("CAP_SYS_TIME");
  });
});

describe("the restart policy", () => {
  const run = { exitCode: 1, restartCount: 2, stoppedByHand: false };
  it("wants what Docker's wants", () => {
    expect(wantsRestart({ name: "no", maximumRetries: 0 }, run)).toBe(false);
    expect(wantsRestart({ name: "on-failure", maximumRetries: 2 }, run)).toBe(false);
    expect(wantsRestart({ name: "on-failure", maximumRetries: 3 }, run)).toBe(true);
    expect(wantsRestart({ name: "on-failure", maximumRetries: 0 }, { ...run, exitCode: 0 })).toBe(false);
    expect(wantsRestart({ name: "always", maximumRetries: 0 }, { ...run, stoppedByHand: true })).toBe(false);
    expect(wantsStartAtBoot({ name: "always", maximumRetries: 0 }, { ...run, stoppedByHand: true })).toBe(true);
    expect(wantsStartAtBoot({ name: "unless-stopped", maximumRetries: 0 }, { ...run, stoppedByHand: true })).toBe(false);
  });
  it("waits twice as long each time, a minute at most, and begins anew after a sound run", () => {
    expect([0, 100, 200, 40_000, 60_000].map((previous) => nextDelayMs(previous, 5))).toEqual([100, 200, 400, 60_000, 60_000]);
    expect(nextDelayMs(60_000, 10_000)).toBe(100);
  });
});

describe("the mutex", () => {
  it("keeps the order, survives failures, and drops who was cancelled while waiting", async () => {
    const mutex = new Mutex();
    const done: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = mutex.run(async () => {
      await promise;
      done.push(1);
      throw new Error("no matter");
    });
    const abort = new AbortController();
    const second = mutex.run(async () => void done.push(2), abort.signal);
    const third = mutex.run(async () => void done.push(3));
    abort.abort();
    resolve();
    await expect(first).rejects.toThrow();
    await expect(second).rejects.toMatchObject({ code: "CANCELLED" });
    await third;
    expect(done).toEqual([1, 3]);
  });
});

describe("the clock", () => {
  it("never says the same twice, and writes nine digits", () => {
    const clock = systemClock();
    const first = clock.nowNs();
    const second = clock.nowNs();
    expect(second).toBeGreaterThan(first);
    expect(Math.abs(Number(first / 1_000_000n) - Date.now())).toBeLessThan(1000);
    expect(formatInstant(first)).toMatch(/\.\d{9}Z$/);
    expect(parseInstant(formatInstant(first))).toBe(first);
    expect(parseInstant("yesterday")).toBeUndefined();
  });
});

describe("events", () => {
  const event = (name: string) => ({ kind: "workload" as const, name, subject: "x", attributes: {} });
  const take = async (events: AsyncIterable<EngineEvent>, count: number) => {
    const names: string[] = [];
    for await (const { name } of events) if (names.push(name) === count) break;
    return names;
  };

  it("begin at the call, not at the first read", async () => {
    const bus = new EventBus(new ManualClock());
    bus.announce(event("before"));
    const events = bus.subscribe(undefined, plainCall().signal);
    bus.announce(event("after"));
    expect(await take(events, 1)).toEqual(["after"]);
  });

  it("are remembered, the last thousand or so", async () => {
    const bus = new EventBus(new ManualClock());
    for (let number = 1; number <= 2000; number++) bus.announce(event(String(number)));
    expect((await take(bus.subscribe(0n, plainCall().signal), 1024))[0]).toBe("977");
  });

  it("drop a subscriber that does not read, and tell it so", async () => {
    const bus = new EventBus(new ManualClock());
    const events = bus.subscribe(undefined, plainCall().signal);
    for (let number = 1; number <= 5000; number++) bus.announce(event(String(number)));
    await expect(take(events, 5000)).rejects.toMatchObject({ code: "EXHAUSTED" });
  });

  it("end when the subscriber goes away", async () => {
    const bus = new EventBus(new ManualClock());
    const abort = new AbortController();
    const reading = take(bus.subscribe(undefined, abort.signal), 1);
    await Promise.resolve();
    abort.abort();
    expect(await reading).toEqual([]);
  });
});
