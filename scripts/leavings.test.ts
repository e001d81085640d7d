import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ShellPlace } from "./testkit/shell-place.ts";

let place: ShellPlace;
beforeEach(() => {
  place = new ShellPlace();
});
afterEach(() => place.remove());

const leavings = (words: string) =>
  place.run(`
    . scripts/say.sh
    . scripts/leavings.sh
    security_files=${place.path("apparmor")} processes=${place.path("proc")}
    ${words}`);

test("what cannot be removed is named, and what comes after it goes all the same", () => {
  place.write("first/file", "");
  place.write("last/file", "");
  // As a mount point, or a file that somebody made immutable, would.
  place.fake("rm", `case $* in *first*) echo 'rm: busy' >&2; exit 1 ;; *) exec /bin/rm "$@" ;; esac`);
  const outcome = leavings(`take_away ${place.path("first")} ${place.path("last")}; try_to false; printf '%s' "$stayed"`);
  expect(outcome.code).toBe(0);
  expect(outcome.stderr).toContain(`could not be removed: ${place.path("first")}`);
  expect(outcome.stdout).toBe(`\n  rm -rf ${place.path("first")}\n  false`);
  expect([existsSync(place.path("first")), existsSync(place.path("last"))]).toEqual([true, false]);
});

test("uninstall removes nothing in a way that would keep the rest from going", () => {
  const lines = readFileSync("scripts/uninstall.sh", "utf8").split("\n");
  expect(lines.filter((line) => /^\s*(rm|groupdel|sh scripts\/install\.sh) /.test(line))).toEqual([]);
});

test("the AppArmor profile is unloaded where nobody is confined by it", () => {
  place.write("apparmor/profiles", "docker-default (enforce)\nbulkhead-default (enforce)\n");
  place.write("proc/12/attr/current", "unconfined\n");
  expect(leavings("unload_profile bulkhead-default").code).toBe(0);
  expect(readFileSync(place.path("apparmor/.remove"), "utf8")).toBe("bulkhead-default");
});

test.each([
  ["another daemon's container is confined by it", "bulkhead-default (enforce)\n", "bulkhead-default (enforce)\n", /stays/],
  ["it is not loaded", "docker-default (enforce)\n", "unconfined\n", /^$/],
])("the AppArmor profile is let be where %s", (_, loaded, confined, said) => {
  place.write("apparmor/profiles", loaded);
  place.write("proc/12/attr/current", confined);
  const { code, stderr } = leavings("unload_profile bulkhead-default");
  expect(code).toBe(0);
  expect(stderr).toMatch(said);
  expect(existsSync(place.path("apparmor/.remove"))).toBe(false);
});

test("a kernel without AppArmor has no profile to unload", () => {
  expect(leavings("unload_profile bulkhead-default")).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("the group that the installation made goes, and one that was there before it stays", () => {
  place.fake("getent");
  place.fake("groupdel");
  const record = place.path("made-group");
  expect(leavings(`remove_group ${record}`).code).toBe(0);
  expect(place.calls).toEqual([]);
  place.write("made-group", "bulkhead\n");
  expect(leavings(`remove_group ${record}`).code).toBe(0);
  expect(place.calls).toEqual(["getent group bulkhead", "groupdel bulkhead"]);
});

test("a group that cannot be removed does not keep the rest from going", () => {
  place.fake("getent");
  place.fake("groupdel", "exit 8");
  const record = place.write("made-group", "bulkhead\n");
  expect(leavings(`remove_group ${record}; printf '%s' "went on:$stayed"`)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/went on:\n {2}groupdel bulkhead$/),
  });
});
