/** Docker's default seccomp profile as it is published now, beside ours: an upstream change is seen by whoever runs the long suite. */

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { CHECKOUT, run } from "../harness/daemon.ts";

const MODULE = "github.com/moby/profiles/seccomp";
const data = join(CHECKOUT, "src/drivers/container/data");
const ours = readFileSync(join(data, "seccomp-default.json"), "utf8");
const told = readFileSync(join(data, "README.md"), "utf8");

it("is the file whose digest stands beside it", () => {
  expect(told).toContain(createHash("sha256").update(ours).digest("hex"));
});

it.skipIf(process.env["BULKHEAD_FULL"] !== "1")("is the newest that Docker's makers publish, under the version that is named", async ({ skip }) => {
  const place = mkdtempSync(join(tmpdir(), "bulkhead-seccomp-"));
  try {
    const asked = await run("sh", ["-c", `cd ${place} && go mod download -json ${MODULE}@latest`], {
      GOFLAGS: "-modcacherw",
      GOMODCACHE: join(place, "modules"),
    });
    if (asked.code !== 0) {
      const why = `no Go module can be had here: ${asked.stderr.trim() || asked.stdout.trim()}`;
      console.log(`seccomp source: skipped, because ${why}`);
      return skip(why);
    }
    const { Version, Dir } = JSON.parse(asked.stdout) as { Version: string; Dir: string };
    expect(JSON.parse(ours), `${MODULE} ${Version} has another default.json: src/drivers/container/data/README.md says how to renew ours`).toEqual(
      JSON.parse(readFileSync(join(Dir, "default.json"), "utf8")),
    );
    expect(told).toContain(Version);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
