/** docs/errors.md, the table of codes, the HTTP statuses, the command line's exits and the SDK say the same. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FAILURE_CODES as SDK_CODES, Failure as SdkFailure } from "../sdk/src/index.ts";
import { HTTP_STATUS } from "../src/api/status.ts";
import { exitCodeOf } from "../src/cli/report.ts";
import { FAILURE_CODES, REMEDIES } from "../src/contract/failure.ts";

const text = readFileSync(join(import.meta.dirname, "../docs/errors.md"), "utf8");
const rows = [...text.matchAll(/^\| ([A-Z_]+) \| (\d+) \| (\d+) \| (.*?) \| (.*?) \|$/gm)].map(([, code, status, exit, what, deed]) => ({
  code: code ?? "",
  status: Number(status),
  exit: Number(exit),
  what: what ?? "",
  deed: deed ?? "",
}));

describe("docs/errors.md", () => {
  it("lists every code once, in the table's order, and no other", () => {
    expect(rows.map(({ code }) => code)).toEqual([...FAILURE_CODES]);
  });

  it("gives each code the status that the API answers", () => {
    expect(Object.fromEntries(rows.map(({ code, status }) => [code, status]))).toEqual(HTTP_STATUS);
  });

  it("gives each code the exit code of run", () => {
    for (const code of SDK_CODES) expect(rows.find((row) => row.code === code)?.exit, code).toBe(exitCodeOf(new SdkFailure(code, "it failed"), 125));
  });

  it("says what happened, and what the daemon tells everyone to do where it knows nothing better", () => {
    for (const { code, what } of rows) expect(what, code).toMatch(/\S/);
    expect(Object.fromEntries(rows.map(({ code, deed }) => [code, deed]))).toEqual(REMEDIES);
  });

  it("names the codes that the SDK knows", () => {
    expect([...SDK_CODES]).toEqual([...FAILURE_CODES]);
  });
});
