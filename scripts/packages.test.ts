import { existsSync, readFileSync, statSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ShellPlace } from "./testkit/shell-place.ts";

let place: ShellPlace;
beforeEach(() => {
  place = new ShellPlace();
  place.fake("id", "echo 0");
  place.fake("dpkg-query", "for last; do :; done\ncase $last in here-*) echo installed ;; half-*) echo config-files ;; *) exit 1 ;; esac");
  place.fake("apt-cache", "case $2 in listed-*) echo '  Candidate: 1.0' ;; known-*) echo '  Candidate: (none)' ;; esac");
  aptGet("");
});
afterEach(() => place.remove());

/** Notes whether services were forbidden while it installed. */
function aptGet(installing: string): void {
  const seen = `cp '${place.path("policy-rc.d")}' '${place.path("policy-seen")}' 2>/dev/null || true`;
  place.fake("apt-get", `if [ "$1" = install ]; then\n${seen}\n${installing}\nfi\nexit 0`);
}

const install = (words: string) =>
  place.run(`
    . scripts/say.sh
    . scripts/packages.sh
    setup_log=${place.path("log")} state_directory=${place.path("state")} policy_program=${place.path("policy-rc.d")}
    ${words}`);
const aptCalls = () => place.calls.filter((call) => call.startsWith("apt-get "));

test("what is installed is not asked for, and nothing at all where all of it is", () => {
  expect(install("install_packages purpose here-one here-two")).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(aptCalls()).toEqual([]);
  expect(install("install_packages purpose here-one new-one half-two").code).toBe(0);
  expect(aptCalls().at(-1)).toMatch(/ new-one half-two$/);
});

test("nothing is removed for it, nothing comes along that is not needed, and what was installed is written down", () => {
  expect(install("install_packages one new-one; install_packages two new-two").code).toBe(0);
  expect(aptCalls()).toEqual([
    "apt-get update -qq",
    "apt-get install -y -q --no-install-recommends --no-remove new-one",
    "apt-get install -y -q --no-install-recommends --no-remove new-two",
  ]);
  expect(readFileSync(place.path("state/installed-packages"), "utf8")).toBe("new-one\nnew-two\n");
});

test("services are forbidden while packages are installed, and not after", () => {
  expect(install(`install_packages purpose new-one; [ ! -e "$policy_program" ]`).code).toBe(0);
  expect(place.run(`sh ${place.path("policy-seen")}`).code).toBe(101);
  expect(statSync(place.path("policy-seen")).mode & 0o111).not.toBe(0);
});

test.each([
  ["fails", "echo 'E: no such thing' >&2; exit 100", 1],
  ["is interrupted", "kill -TERM $PPID; exit 1", 130],
])("services may start again where the installation %s", (_, installing, code) => {
  aptGet(installing);
  const outcome = install("install_packages purpose new-one");
  expect(outcome.code).toBe(code);
  expect(existsSync(place.path("policy-seen"))).toBe(true);
  expect(existsSync(place.path("policy-rc.d"))).toBe(false);
  expect(existsSync(place.path("state/installed-packages"))).toBe(false);
  if (code === 1) expect(outcome.stderr).toMatch(/could not install new-one[\s\S]*no such thing/);
});

test("the machine's own word on services stays, and one that a killed installation left goes", () => {
  place.write("policy-rc.d", "#!/bin/sh\nexit 104\n");
  install("install_packages purpose new-one");
  expect(readFileSync(place.path("policy-rc.d"), "utf8")).toContain("exit 104");
  aptGet(`kill -KILL $PPID`);
  install(`rm "$policy_program"; install_packages purpose new-one`);
  expect(existsSync(place.path("policy-rc.d"))).toBe(true);
  aptGet("");
  expect(install("install_packages purpose new-one").code).toBe(0);
  expect(existsSync(place.path("policy-rc.d"))).toBe(false);
});

test("what may be missing is named where no list has it, and the rest is installed", () => {
  const outcome = install("install_available tests here-one listed-one known-two unheard-three listed-four");
  expect(outcome.code).toBe(0);
  expect(outcome.stdout).toContain("tests go without known-two unheard-three: not in this host's package lists");
  expect(aptCalls().at(-1)).toMatch(/ --no-remove listed-one listed-four$/);
});

test("set-up goes on where nothing of a list can be had, having named it", () => {
  const outcome = install("install_available tests known-two || echo went on");
  expect(outcome.stdout).toMatch(/go without known-two[\s\S]*went on/);
  expect(aptCalls().filter((call) => call.includes("install"))).toEqual([]);
});

test("who is not root is told the command, and nothing is tried", () => {
  place.fake("id", "echo 1000");
  const outcome = install("install_packages networks new-one || echo went on");
  expect(outcome.stderr).toContain("sudo apt-get install new-one");
  expect(outcome.stdout).toBe("went on\n");
  expect(aptCalls()).toEqual([]);
});
