import { describe, expect, it } from "vitest";
import { parseBytes, parseDurationNs, parseMoment, showBinaryBytes, showBytes, showDuration } from "./quantity.ts";

describe("sizes", () => {
  it.each([
    ["64m", 64 * 1024 ** 2],
    ["1g", 1024 ** 3],
    ["1.5G", 1.5 * 1024 ** 3],
    ["512", 512],
    ["10kb", 10240],
    ["2MiB", 2 * 1024 ** 2],
    ["7b", 7],
  ])("%s are binary", (text, bytes) => expect(parseBytes(text, "--memory")).toBe(bytes));

  it.each(["", "m", "64x", "-1", "1 000", "0x10", "1e3"])("%j are refused", (text) =>
    expect(() => parseBytes(text, "--memory")).toThrow(/--memory takes a size/),
  );

  it("are shown with three digits in decimal and four in binary", () => {
    expect([0, 999, 4_261_550, 1_000_000_000].map((bytes) => showBytes(bytes))).toEqual(["0B", "999B", "4.26MB", "1GB"]);
    expect([0, 1536, 1024 ** 3].map(showBinaryBytes)).toEqual(["0B", "1.5KiB", "1GiB"]);
  });
});

describe("durations", () => {
  it.each([
    ["10s", 10e9],
    ["1m30s", 90e9],
    ["300ms", 300e6],
    ["1.5h", 5400e9],
    ["0", 0],
  ])("%s are Go's", (text, nanoseconds) => expect(parseDurationNs(text, "--x")).toBe(nanoseconds));

  it.each(["10", "s", "1x", "1m 30s", ""])("%j are refused", (text) => expect(() => parseDurationNs(text, "--x")).toThrow(/duration/));

  it.each([
    [0, "Less than a second"],
    [1_000, "1 second"],
    [59_000, "59 seconds"],
    [60_000, "About a minute"],
    [3_540_000, "59 minutes"],
    [3_600_000, "About an hour"],
    [47 * 3_600_000, "47 hours"],
    [13 * 86_400_000, "13 days"],
    [30 * 86_400_000, "4 weeks"],
    [100 * 86_400_000, "3 months"],
    [800 * 86_400_000, "2 years"],
  ])("of %d ms read %s", (milliseconds, text) => expect(showDuration(milliseconds)).toBe(text));
});

describe("moments", () => {
  const now = Date.UTC(2026, 0, 1);
  it("are seconds, dates, or a way back from now", () => {
    expect(parseMoment("1700000000.5", "--since", now)).toBe("1700000000.5");
    expect(parseMoment("2026-01-01T00:00:00.25Z", "--since", now)).toBe(`${now / 1000}.250000000`);
    expect(parseMoment("10m", "--since", now)).toBe(`${now / 1000 - 600}.000000000`);
    expect(() => parseMoment("yesterday", "--since", now)).toThrow(/--since/);
    expect(() => parseMoment("2026-99-99", "--since", now)).toThrow(/--since/);
  });
});
