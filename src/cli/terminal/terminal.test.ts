import { describe, expect, it } from "vitest";
import { DetachWatch, parseDetachKeys } from "./detach-keys.ts";
import { ProgressView, showBar } from "./progress.ts";

describe("detach keys", () => {
  it("are letters and control letters", () => {
    expect(parseDetachKeys("ctrl-p,ctrl-q")).toEqual([16, 17]);
    expect(parseDetachKeys("a,ctrl-@,ctrl-[")).toEqual([97, 0, 27]);
    expect(parseDetachKeys("")).toEqual([]);
    expect(() => parseDetachKeys("ctrl-pp")).toThrow(/no key/);
  });

  it("are found across chunks, and what only began like them goes on unchanged", () => {
    const watch = new DetachWatch([16, 17]);
    expect(watch.pass(Uint8Array.of(97, 16))).toEqual({ forward: Uint8Array.of(97), detached: false });
    expect(watch.pass(Uint8Array.of(98))).toEqual({ forward: Uint8Array.of(16, 98), detached: false });
    expect(watch.pass(Uint8Array.of(16, 16))).toEqual({ forward: Uint8Array.of(16), detached: false });
    expect(watch.pass(Uint8Array.of(17, 99))).toEqual({ forward: new Uint8Array(), detached: true });
  });

  it("can be none", () => expect(new DetachWatch([]).pass(Uint8Array.of(16, 17))).toEqual({ forward: Uint8Array.of(16, 17), detached: false }));
});

describe("progress", () => {
  it("is one plain line for each new state where there is no terminal", () => {
    const view = new ProgressView(1, { live: false });
    const lines = [
      { status: "Pulling from app", id: "1" },
      { status: "Downloading", id: "aaa", progressDetail: { current: 1, total: 9 } },
      { status: "Downloading", id: "aaa", progressDetail: { current: 5, total: 9 } },
      { status: "Pull complete", id: "aaa" },
      { status: "Digest: sha256:1" },
    ];
    expect(lines.map((line) => view.render(line)).join("")).toBe("1: Pulling from app\naaa: Downloading\naaa: Pull complete\nDigest: sha256:1\n");
  });

  it("keeps a layer's line in its place on a terminal, cut to its width", () => {
    const view = new ProgressView(1, { live: true, width: 70 });
    expect(view.render({ status: "Waiting", id: "aaa" })).toBe("aaa: Waiting\n");
    expect(view.render({ status: "Waiting", id: "bbb" })).toBe("bbb: Waiting\n");
    const moved = view.render({ status: "Downloading", id: "aaa", progressDetail: { current: 5e6, total: 1e7 } });
    expect(moved).toBe(`\u001b[2A\r\u001b[2Kaaa: Downloading ${showBar(5e6, 1e7)}\u001b[2B\r`);
  });

  it("cannot be made to move the cursor by what a registry says", () => {
    expect(new ProgressView(1, { live: false }).render({ status: "x\u001b[2J", id: "a" })).toBe("a: x\\x1b[2J\n");
  });

  it("fills its bar", () => {
    expect(showBar(0, 10)).toBe(`[${" ".repeat(30)}] 0B/10B`);
    expect(showBar(10, 10)).toBe(`[${"=".repeat(30)}] 10B/10B`);
  });
});
