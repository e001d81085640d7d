import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CHECKOUT, ShellPlace } from "./testkit/shell-place.ts";

const SCRIPTS = /^# What remedies name[\s\S]*?(?=^cp package)/m;

let place: ShellPlace;
beforeEach(() => {
  place = new ShellPlace();
});
afterEach(() => place.remove());

test("the scripts that make guest kernels are installed with all that they read", () => {
  const [copying = ""] = SCRIPTS.exec(readFileSync(join(CHECKOUT, "scripts/install.sh"), "utf8")) ?? [];
  expect(place.run(`home=${place.path("bulkhead")}; ${copying}`).code).toBe(0);
  const prepare = `BULKHEAD_NO_KERNEL_BUILD=1 sh ${place.path("bulkhead.new/scripts/kernel/prepare.sh")} ${place.path("cache")}`;
  expect(place.run(prepare)).toMatchObject({ code: 69, stderr: "kernel: the guest's init is not built; run npm run build\n" });
  // With one it gets as far as looking for kernels, here among none.
  place.write("bulkhead.new/dist/native/bulkhead-guest", "");
  place.fake("apt-cache");
  expect(place.run(prepare).stderr).toMatch(/^kernel: linux-image-\S+ is not in this host's package lists/);
  expect(place.run(`cmp ${place.path("bulkhead.new/scripts/kernel/machine.config")} scripts/kernel/machine.config`).code).toBe(0);
  expect(place.run(`ls ${place.path("bulkhead.new/scripts/kernel")}`).stdout).not.toContain(".ts");
});
