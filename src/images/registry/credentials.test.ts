import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findCredentials } from "./credentials.ts";

const directory = mkdtempSync(join(tmpdir(), "bulkhead-credentials-"));
afterAll(() => rmSync(directory, { recursive: true }));

async function find(document: unknown, domain: string): Promise<{ found: unknown; notes: string[] }> {
  const file = join(directory, "config.json");
  writeFileSync(file, typeof document === "string" ? document : JSON.stringify(document));
  const notes: string[] = [];
  return { found: await findCredentials(domain, file, (what) => notes.push(what)), notes };
}

const auth = Buffer.from("me:pass:word").toString("base64");

test("keys are hosts, or the addresses that old clients wrote", async () => {
  for (const [key, domain] of [
    ["localhost:5000", "localhost:5000"],
    ["https://quay.io/v1/", "quay.io"],
    ["https://index.docker.io/v1/", "docker.io"],
  ] as const) {
    expect((await find({ auths: { [key]: { auth } } }, domain)).found).toEqual({ username: "me", password: "pass:word" });
  }
  expect((await find({ auths: { "quay.io.evil": { auth } } }, "quay.io")).found).toEqual({});
});

test("identity tokens are taken, and a helper program is mentioned, not run", async () => {
  expect((await find({ auths: { a: { auth: "", identitytoken: "t" } } }, "a")).found).toEqual({ identityToken: "t" });
  const { found, notes } = await find({ auths: { a: {} }, credsStore: "desktop" }, "a");
  expect(found).toEqual({});
  expect(notes[0]).toContain("helper");
});

test("a damaged configuration is as good as none, and said", async () => {
  expect(await find("{", "a")).toMatchObject({ found: {}, notes: [expect.stringContaining("cannot be read")] });
  expect(await findCredentials("a", "/nonexistent/config.json", () => {})).toEqual({});
});
