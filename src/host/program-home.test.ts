import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkoutCommand, findHome, HOME, nativeCommand, scriptCommand } from "./program-home.ts";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "bulkhead-home-"));
});
afterEach(() => rmSync(place, { recursive: true }));

/** Laid out as scripts/install.sh does. */
function installed(): string {
  for (const directory of ["bin", "dist/native", "scripts/kernel"]) mkdirSync(join(place, directory), { recursive: true });
  for (const file of ["bin/bulkhead", "package.json", "dist/daemon.js"]) writeFileSync(join(place, file), "");
  return findHome(join(place, "dist"));
}

test("a program in a checkout finds the checkout, from its source and from its bundle, and names commands that are there", () => {
  expect(findHome(join(HOME, "dist"))).toBe(HOME);
  for (const command of [scriptCommand("kernel/prepare.sh"), scriptCommand("kernel/initrd.sh"), checkoutCommand("wasm-runner.sh")])
    expect(statSync(command.replace(/^sh /, "")).isFile(), command).toBe(true);
  expect(nativeCommand("bulkhead-launcher --orphans --teardown")).toBe(`${HOME}/dist/native/bulkhead-launcher --orphans --teardown`);
});

test("an installed program names its own copies, and the checkout for what has none", () => {
  const home = installed();
  expect(home).toBe(place);
  expect(scriptCommand("kernel/prepare.sh", home)).toBe(`sh ${place}/scripts/kernel/prepare.sh`);
  expect(nativeCommand("bulkhead-launcher --orphans", home)).toBe(`${place}/dist/native/bulkhead-launcher --orphans`);
  expect(checkoutCommand("wasm-runner.sh", home)).toBe("In the checkout that this was installed from: sh scripts/wasm-runner.sh && sh scripts/install.sh");
});

test("a path that a shell would take apart is quoted", () => {
  expect(scriptCommand("kernel/prepare.sh", "/srv/it's here")).toBe("sh '/srv/it'\\''s here/scripts/kernel/prepare.sh'");
});

test("no word of the daemon names a script or a native program by a path that holds in a checkout's own directory alone", () => {
  const files = readdirSync(join(HOME, "src"), { recursive: true, encoding: "utf8" }).filter((name) => /^(?!.*\.test\.ts$).*\.ts$/.test(name));
  const relative = files.filter((name) => /["'`(: ](sh scripts\/|dist\/native\/bulkhead)/.test(readFileSync(join(HOME, "src", name), "utf8")));
  expect(relative).toEqual(["host/program-home.ts"]);
});
