import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lockRoot } from "./root-lock.ts";

test("the lock of a daemon that was killed is free at once", async () => {
  const directory = mkdtempSync(join(tmpdir(), "bulkhead-lock-"));
  const holder = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `const { lockRoot } = await import(${JSON.stringify(new URL("./root-lock.ts", import.meta.url).href)}); globalThis.lock = lockRoot(process.argv[1]); console.log("held"); setInterval(() => {}, 1000)`,
      directory,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    expect(() => lockRoot(directory)).toThrow(expect.objectContaining({ code: "ALREADY_EXISTS", message: expect.stringContaining(`process ${holder.pid}`) }));
    const gone = new Promise((resolve) => holder.once("exit", resolve));
    holder.kill("SIGKILL");
    await gone;
    lockRoot(directory).release();
  } finally {
    holder.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
});
