import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ShellPlace } from "../testkit/shell-place.ts";

const SOURCE = "case $* in 'policy linux-source-6.1') echo '  Candidate: 6.1.1-1' ;; esac";
/** Ubuntu's, and that of the next Debian, have other names. */
const OTHER_SOURCE = "case $* in 'depends linux-source') echo '  Depends: linux-source-6.8.0' ;; policy*) echo '  Candidate: (none)' ;; esac";
const TOOLS = ["make", "gcc", "flex", "bison", "bc", "xz"];

let place: ShellPlace;
beforeEach(() => {
  place = new ShellPlace();
  place.write("cache/empty", "");
  place.fake("uname", "echo x86_64");
  place.fake("apt-get");
  place.fake("apt-cache", SOURCE);
  for (const tool of TOOLS) place.fake(tool);
  place.isolate();
});
afterEach(() => place.remove());

const script = (words: string) => place.run(words);
const build = (words: string) => script(`sh scripts/kernel/build.sh ${words} ${place.path("cache")}`);
const notBuilt = () => readFileSync(place.path("cache/not-built"), "utf8").split("\n");

test("our own kernel can be built where its source and every tool is there", () => {
  expect(build("--check")).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(existsSync(place.path("cache/not-built"))).toBe(false);
});

test.each(TOOLS)("without %s it says so, with the packages that bring everything, and leaves word of it", (tool) => {
  script(`rm ${place.path("bin", tool)}`);
  const { code, stderr } = build("--check");
  const packages = script("sh scripts/kernel/build.sh --packages").stdout.trim();
  expect(code).toBe(69);
  expect(stderr).toContain(`needs ${tool}: apt-get install --no-install-recommends ${packages}\n`);
  expect(notBuilt()).toEqual([`building our own guest kernel needs ${tool}`, `apt-get install --no-install-recommends ${packages}`, "", ""]);
});

test("a header that is not there counts as a tool", () => {
  place.fake("gcc", "grep -q gelf.h && exit 1; exit 0");
  expect(build("--check").stderr).toContain("needs gelf.h: ");
  expect(script("sh scripts/kernel/build.sh --packages").stdout).toContain(" libelf-dev ");
});

test("where the kernel's source has another name, that is said by name, and no package is asked for", () => {
  place.fake("apt-cache", OTHER_SOURCE);
  expect(build("--check")).toMatchObject({ code: 69, stderr: expect.stringContaining("linux-source-6.8.0 is not known to do") });
  expect(notBuilt()[2]).toBe("impossible");
  expect(script("sh scripts/kernel/build.sh --packages")).toMatchObject({ code: 69, stdout: "" });
});

test("package lists that were never fetched are to be fetched", () => {
  place.fake("apt-cache", "echo 'N: Unable to locate package' >&2");
  expect(build("--check").code).toBe(69);
  expect(notBuilt().slice(1, 3)).toEqual(["apt-get update", ""]);
});

test("a download that fails leaves word of it, and nothing else, nor of a build that was killed before it", () => {
  place.write("cache/build-aB3dE6/linux-source-6.1/Makefile", "");
  place.fake("apt-get", "exit 100");
  expect(build("")).toMatchObject({ code: 100, stdout: "" });
  expect(notBuilt()[0]).toContain(place.path("cache/build.log"));
  expect(script(`cd ${place.path("cache")} && ls -A`).stdout).toBe(".build-lock\nempty\nnot-built\n");
});

test("on Ubuntu machines boot the kernel that Ubuntu calls virtual", () => {
  const look = (id: string) => {
    const release = place.write("os-release", `NAME=x\nID=${id}\nVERSION_ID=24.04\n`);
    return script(`BULKHEAD_OS_RELEASE=${release} sh scripts/kernel/debian.sh ${place.path("cache")}`);
  };
  expect(look("ubuntu")).toMatchObject({ code: 69, stderr: expect.stringContaining("linux-image-virtual is not in") });
  expect(look("debian")).toMatchObject({ code: 69, stderr: expect.stringContaining("linux-image-cloud-amd64 is not in") });
});
