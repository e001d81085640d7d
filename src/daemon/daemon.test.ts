import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfiguration, readConfiguration } from "./configuration.ts";
import { placesOf } from "./places.ts";
import { findGroup } from "./socket-access.ts";

test("without options everything lies where the documents say", () => {
  expect(placesOf({})).toMatchObject({
    root: "/var/lib/bulkhead",
    socket: "/run/bulkhead/bulkhead.sock",
    run: "/run/bulkhead",
    launcherSocket: "/run/bulkhead/launcher.sock",
    sockets: "/run/bulkhead/s",
  });
});

test("another root shares nothing with the first", () => {
  const first = placesOf({});
  const second = placesOf({ root: "/srv/b" });
  expect(second).toMatchObject({ root: "/srv/b", run: "/srv/b/run", socket: "/srv/b/run/bulkhead.sock" });
  const taken = new Set<string>(Object.values(first));
  expect(Object.values(second).filter((path) => taken.has(path))).toEqual([]);
});

test("a root too deep for socket addresses gets a short run directory, and a socket too long is refused", () => {
  const deep = placesOf({ root: `/srv/${"deep/".repeat(20)}root` });
  expect(deep.run).toMatch(/^\/run\/bulkhead-[0-9a-f]{12}$/);
  expect(() => placesOf({ socket: `/run/${"x".repeat(100)}` })).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
  expect(() => placesOf({ run: `/run/${"x".repeat(60)}` })).toThrow(/at most 60/);
});

test("the command line goes over the file", () => {
  const directory = mkdtempSync(join(tmpdir(), "bulkhead-config-"));
  try {
    const file = join(directory, "config.json");
    writeFileSync(file, JSON.stringify({ root: "/from/file", logLevel: "debug" }));
    expect(readConfiguration(["--config", file, "--socket", "unix:///s.sock"])).toEqual({ root: "/from/file", logLevel: "debug", socket: "/s.sock" });
    expect(readConfiguration(["--config", file, "--root=/other/"])).toMatchObject({ root: "/other" });
    expect(readConfiguration(["--help"])).toContain("--root DIR");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.each([
  [["--roott", "/x"], /roott/],
  [["--root", "relative"], /absolute path/],
  [["--config", "/nowhere/at/all.json"], /cannot be read/],
])("%j is refused", (argv, what) => {
  expect(() => readConfiguration(argv)).toThrow(what);
});

test.each([
  ["{", /not JSON/],
  ['{"defaultIsolation":"chroot"}', /defaultIsolation/],
  ['{"rooot":"/x"}', /rooot/],
  ['{"root":"x"}', /root/],
  ['{"machine":{"kernel":7}}', /machine\.kernel/],
  ["[]", /The document/],
])("the configuration %s is refused by what is wrong", (text, what) => {
  expect(() => parseConfiguration(text, "/c.json")).toThrow(expect.objectContaining({ code: "INVALID_SPEC", message: expect.stringMatching(what) }));
});

test("the published schema is the one that is checked (renew it by `bin/bulkhead daemon --schema > docs/schema/config.json`)", () => {
  const published = JSON.parse(readFileSync(join(import.meta.dirname, "../../docs/schema/config.json"), "utf8"));
  expect(published).toEqual(JSON.parse(readConfiguration(["--schema"]) as string));
});

test("a group is found in the file of local groups", () => {
  const directory = mkdtempSync(join(tmpdir(), "bulkhead-group-"));
  try {
    const file = join(directory, "group");
    writeFileSync(file, "root:x:0:\nbulkhead:x:977:alice\nbroken\n");
    expect(findGroup("bulkhead", file)).toBe(977);
    expect(findGroup("nobody-knows", file)).toBeUndefined();
    expect(findGroup("root", join(directory, "missing"))).toBeUndefined();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
