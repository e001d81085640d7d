import { describe, expect, it } from "vitest";
import { FAILURE_CODES, Failure } from "../../contract/failure.ts";
import { parseInstant, Query } from "../query.ts";
import { errorBody, HTTP_STATUS } from "../status.ts";
import { DetachWatch, parseDetachKeys } from "./detach-keys.ts";
import { humanDuration } from "./duration.ts";
import { eventLine } from "./events.ts";
import { translateEvent } from "./event-words.ts";
import { Filters, matchesName } from "./filters.ts";
import { readCredentials } from "./registry-auth.ts";
import { readSignal } from "./signal-names.ts";

describe("failures over HTTP", () => {
  it("have a status each, and 304 for what is already so", () => {
    for (const code of FAILURE_CODES) expect(HTTP_STATUS[code]).toBeGreaterThanOrEqual(300);
    expect(HTTP_STATUS.UNCHANGED).toBe(304);
  });

  it("carry the remedy in the message that the stock client prints, and every field beside it", () => {
    const failure = new Failure("UNAVAILABLE", "no kernel booted", { remedy: "Load kvm.", boundary: "microvm", workload: "abc" });
    expect(errorBody(failure)).toEqual({
      message: "no kernel booted\nLoad kvm.",
      code: "UNAVAILABLE",
      what: "no kernel booted",
      remedy: "Load kvm.",
      boundary: "microvm",
      workload: "abc",
    });
  });

  it("say 126 and 127 in words that the stock client knows, once", () => {
    expect(errorBody(new Failure("COMMAND_NOT_FOUND", "x: no such file or directory")).message).toBe("x: no such file or directory");
    expect(errorBody(new Failure("COMMAND_NOT_FOUND", "x: No such file or directory")).message).toBe("x: no such file or directory");
    expect(errorBody(new Failure("COMMAND_NOT_EXECUTABLE", "x")).message).toBe("x: permission denied");
  });
});

describe("filters", () => {
  it("take lists, and maps to true as the stock client sends them", () => {
    const filters = new Filters('{"label":{"a":true,"b=1":true,"c":false},"name":["x"]}', ["label", "name"]);
    expect(filters.values("label")).toEqual(["a", "b=1"]);
    expect(filters.labels({ a: "", b: "1" })).toBe(true);
    expect(filters.labels({ a: "", b: "2" })).toBe(false);
  });

  it("match names by substring, anchor and alternative, and take what could run for ever literally", () => {
    expect(matchesName("we", "web")).toBe(true);
    expect(matchesName("^/web$", "/web")).toBe(true);
    expect(matchesName("^eb", "web")).toBe(false);
    expect(matchesName("a|b", "b")).toBe(true);
    const began = performance.now();
    expect(matchesName("(a+)+$", `${"a".repeat(40)}b`)).toBe(false);
    for (const pattern of ["*", "a**", "|*", ".*.*.*.*.*b", "a{1,"]) matchesName(pattern, "a".repeat(120));
    expect(performance.now() - began).toBeLessThan(200);
  });
});

describe("queries", () => {
  it("read flags as Docker does", () => {
    const query = new Query("a=1&b=0&c=&d=false&e=True&f=no");
    expect(["a", "b", "c", "d", "e", "f", "g"].map((name) => query.flag(name))).toEqual([true, false, false, false, true, false, false]);
    expect(query.flag("g", true)).toBe(true);
  });

  it("read instants to the nanosecond and refuse what is none", () => {
    expect(parseInstant("1700000000.000000001", "since")).toBe(1_700_000_000_000_000_001n);
    expect(parseInstant("2023-11-14T22:13:20.5Z", "since")).toBe(1_700_000_000_500_000_000n);
    expect(() => parseInstant("yesterday", "since")).toThrow("invalid value");
    expect(() => new Query("t=ten").integer("t")).toThrow("whole number");
  });
});

describe("detach keys", () => {
  it("are found across chunks, and what only looked like them is passed on", () => {
    const watch = new DetachWatch(parseDetachKeys(undefined));
    expect(Buffer.from(watch.read(Buffer.from("ab\x10")).pass).toString()).toBe("ab");
    expect(watch.read(Buffer.from("c"))).toMatchObject({ detached: false, pass: new Uint8Array([0x10, 0x63]) });
    expect(watch.read(Buffer.from("x\x10\x11later"))).toMatchObject({ detached: true, pass: new Uint8Array([0x78]) });
    expect(new DetachWatch(parseDetachKeys("a,a,b")).read(Buffer.from("aaab")).detached).toBe(false);
  });

  it("are read in Docker's notation", () => {
    expect(parseDetachKeys("ctrl-a,x,ctrl-[")).toEqual([1, 120, 27]);
    expect(() => parseDetachKeys("shift-a")).toThrow("invalid detach keys");
  });
});

describe("signals", () => {
  it("are taken by number, with and without SIG", () => {
    expect(["9", "kill", "SIGHUP", "34", "RTMIN+3"].map(readSignal)).toEqual(["SIGKILL", "SIGKILL", "SIGHUP", "SIGRTMIN", "SIGRTMIN+3"]);
    for (const wrong of ["0", "99", "SIGBOGUS", "KILL;rm"]) expect(() => readSignal(wrong)).toThrow("Invalid signal");
  });
});

describe("durations", () => {
  it("are worded as docker ps words them", () => {
    const second = 1000;
    const cases: readonly (readonly [number, string])[] = [
      [0.5, "Less than a second"],
      [1, "1 second"],
      [59, "59 seconds"],
      [60, "About a minute"],
      [3599, "59 minutes"],
      [3600, "About an hour"],
      [7200, "2 hours"],
      [3 * 86_400, "3 days"],
      [15 * 86_400, "2 weeks"],
      [90 * 86_400, "3 months"],
      [800 * 86_400, "2 years"],
    ];
    for (const [seconds, text] of cases) expect(humanDuration(seconds * second)).toBe(text);
  });
});

describe("events", () => {
  const event = { kind: "workload", subject: "abc", atNs: 1_700_000_000_123_456_789n } as const;

  it("are said in Docker's words, to the nanosecond", () => {
    const died = { ...event, name: "died", attributes: { exitCode: "137", image: "busybox", name: "web" } };
    expect(eventLine(translateEvent(died), died)).toBe(
      '{"status":"die","id":"abc","from":"busybox","Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":{"exitCode":"137","image":"busybox","name":"web"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}\n',
    );
  });

  it("carry command and health in the action, as Docker writes them", () => {
    expect(translateEvent({ ...event, name: "exec-started", attributes: { execId: "e", command: "ls -l" } })).toMatchObject({
      action: "exec_start: ls -l",
      attributes: { execID: "e" },
    });
    expect(translateEvent({ ...event, name: "health-changed", attributes: { health: "healthy" } }).action).toBe("health_status: healthy");
    expect(translateEvent({ ...event, name: "boundary-lost", attributes: {} }).action).toBe("boundary-lost");
  });
});

describe("X-Registry-Auth", () => {
  const encode = (document: object) => Buffer.from(JSON.stringify(document)).toString("base64url");
  it("gives names, passwords and tokens, and nobody for an empty one", () => {
    expect(readCredentials(encode({ username: "u", password: "p", serveraddress: "x", email: "e" }))).toEqual({ username: "u", password: "p" });
    expect(readCredentials(encode({ identitytoken: "t" }))).toEqual({ identityToken: "t" });
    expect(readCredentials(encode({ auth: Buffer.from("u:p:q").toString("base64") }))).toEqual({ username: "u", password: "p:q" });
    expect(readCredentials(encode({}))).toBeUndefined();
    expect(readCredentials(undefined)).toBeUndefined();
  });

  it("is refused where it is none, without repeating it", () => {
    expect(() => readCredentials("c2VjcmV0")).toThrow("X-Registry-Auth is not a base64 JSON object");
  });
});
