import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { OPEN_POLICY } from "../policy/index.ts";
import { PolicyFile } from "./policy-file.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-policy-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const { log } = plainCall();
const put = (text: string): void => {
  writeFileSync(join(directory, "new"), text);
  renameSync(join(directory, "new"), join(directory, "policy.yaml"));
};
const open = (): PolicyFile => new PolicyFile(join(directory, "policy.yaml"), log);

describe("the policy file", () => {
  it("is read again when it changes", async () => {
    put("schemaVersion: 1\n");
    const file = open();
    expect(await file.current()).toEqual({ schemaVersion: 1 });
    put("schemaVersion: 1\nforbid: [privileged]\n");
    expect(await file.current()).toMatchObject({ forbid: ["privileged"] });
  });

  it("denies everything new while it is no policy, and says where it is wrong", async () => {
    put("schemaVersion: 1\nforbid: [privilegd]\n");
    const file = open();
    await expect(file.current()).rejects.toThrow(/nothing new is allowed: the policy .*policy\.yaml:2:10: "privilegd" is not known/);
    put("schemaVersion: 1\n");
    expect(await file.current()).toEqual({ schemaVersion: 1 });
  });

  it("denies when a policy that was in force is broken, and when it is taken away though it was named", async () => {
    put("schemaVersion: 1\n");
    const file = open();
    await file.current();
    put("{");
    await expect(file.current()).rejects.toThrow(/nothing new is allowed/);
    rmSync(join(directory, "policy.yaml"));
    await expect(file.current()).rejects.toThrow(/nothing new is allowed/);
  });

  it("that nobody named and that is not there demands nothing", async () => {
    // The default place is the host's: where this host has a policy, the test says nothing.
    await expect(new PolicyFile(join(directory, "absent.yaml"), log).current()).rejects.toThrow(/nothing new is allowed/);
    expect(OPEN_POLICY).toEqual({ schemaVersion: 1 });
  });
});
