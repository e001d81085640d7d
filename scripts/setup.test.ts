/** The part of set-up that asks for packages, on a bare host on which each of them is to be had. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CHECKOUT, ShellPlace } from "./testkit/shell-place.ts";

const PACKAGES = /^# --- packages -+$[\s\S]*?(?=^# --- )/m;
const KERNEL = ["make", "gcc", "libc6-dev", "flex", "bison", "bc", "libelf-dev", "xz-utils"];

let place: ShellPlace;
beforeEach(() => {
  place = new ShellPlace();
  place.isolate();
  place.fake("id", "echo 0");
  place.fake("uname", "echo x86_64");
  place.fake("dpkg-query", `grep -qx "$5" '${place.write("installed", "")}' && echo installed`);
  place.fake("apt-get", `[ "$1" = install ] || exit 0\nshift 4\nfor name; do echo "$name" >>'${place.path("installed")}'; done`);
  listed("docker-cli");
});
afterEach(() => place.remove());

const listed = (other: string) => place.fake("apt-cache", `case $2 in ${other}) echo '  Candidate: (none)' ;; *) echo '  Candidate: 1.0' ;; esac`);

function setUp(tests: "" | "yes", words = ""): readonly string[] {
  const [section = ""] = PACKAGES.exec(readFileSync(join(CHECKOUT, "scripts/setup.sh"), "utf8")) ?? [];
  const outcome = place.run(`
    . scripts/say.sh
    . scripts/packages.sh
    setup_log=${place.path("log")} state_directory=${place.path("state")} policy_program=${place.path("policy-rc.d")}
    kernel_cache=${place.path("kernels")} qemu=qemu-system-x86 tests=${tests}
    ${words}
    ${section}`);
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  return readFileSync(place.path("installed"), "utf8").split("\n").filter(Boolean);
}

test("what our own guest kernel is built with is installed", () => {
  const installed = setUp("");
  for (const name of KERNEL) expect(installed, name).toContain(name);
});

test.each([
  ["the tests are set up for, which build none", "yes", ""],
  ["somebody forbids the build", "", "export BULKHEAD_NO_KERNEL_BUILD=1"],
  ["it is there", "", "mkdir -p $kernel_cache/own-1; : >$kernel_cache/own-1/vmlinux"],
] as const)("nothing is installed for our own guest kernel where %s", (_, tests, words) => {
  const installed = setUp(tests, words);
  expect(installed).toContain("qemu-utils");
  for (const name of ["make", "flex", "bison", "bc", "libelf-dev"]) expect(installed).not.toContain(name);
});

test("nothing is installed for our own guest kernel where its source is not to be had", () => {
  listed("linux-source-6.1");
  expect(setUp("")).not.toContain("flex");
});

test("Docker's client is installed for the tests where it is a package by itself, and its engine never", () => {
  expect(setUp("yes")).not.toContain("docker-cli");
  listed("nothing");
  const installed = setUp("yes");
  expect(installed).toContain("docker-cli");
  expect(installed).not.toContain("docker.io");
});

test("Docker's client is not installed where there is one, nor for running Bulkhead", () => {
  listed("nothing");
  expect(setUp("")).not.toContain("docker-cli");
  place.fake("docker");
  expect(setUp("yes")).not.toContain("docker-cli");
});

test("what others may write into the place for temporary files does not lead root's words elsewhere", () => {
  const [line = ""] = /^setup_log=.*$/m.exec(readFileSync(join(CHECKOUT, "scripts/setup.sh"), "utf8")) ?? [];
  const canary = place.write("canary", "untouched");
  expect(place.run(`/bin/ln -s '${canary}' "$TMPDIR/bulkhead-setup.$$.log"\n${line}\necho said >"$setup_log"`)).toMatchObject({ code: 0, stderr: "" });
  expect(readFileSync(canary, "utf8")).toBe("untouched");
});
