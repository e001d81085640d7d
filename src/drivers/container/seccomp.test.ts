import { expect, test } from "vitest";
import type { OciSeccomp } from "../oci/oci-config.ts";
import { parseProfile, resolveDefaultProfile, seccompKey } from "./seccomp.ts";

const HOST = { architecture: "amd64", kernelMajor: 6, kernelMinor: 1 };
const actions = (profile: OciSeccomp, name: string) => profile.syscalls.filter((call) => call.names.includes(name)).map((call) => call.action);

test("without CAP_SYS_ADMIN mount is not allowed and clone3 says ENOSYS", () => {
  const profile = resolveDefaultProfile(["CAP_CHOWN"], HOST);
  expect(profile.defaultAction).toBe("SCMP_ACT_ERRNO");
  expect(actions(profile, "mount")).toEqual([]);
  expect(actions(profile, "read")).toEqual(["SCMP_ACT_ALLOW"]);
  expect(profile.syscalls.find((call) => call.names.includes("clone3"))).toMatchObject({ action: "SCMP_ACT_ERRNO", errnoRet: 38 });
  expect(profile.syscalls.find((call) => call.names.includes("clone"))?.args).toHaveLength(1);
});

test("CAP_SYS_ADMIN opens what needs it", () => {
  const profile = resolveDefaultProfile(["CAP_SYS_ADMIN"], HOST);
  expect(actions(profile, "mount")).toEqual(["SCMP_ACT_ALLOW"]);
  expect(actions(profile, "clone3")).toEqual(["SCMP_ACT_ALLOW"]);
});

test("architectures follow the host", () => {
  expect(resolveDefaultProfile([], HOST).architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
  expect(resolveDefaultProfile([], { ...HOST, architecture: "arm64" }).architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
  expect(actions(resolveDefaultProfile([], HOST), "arch_prctl")).toEqual(["SCMP_ACT_ALLOW"]);
  expect(actions(resolveDefaultProfile([], { ...HOST, architecture: "arm64" }), "arch_prctl")).toEqual([]);
});

test("a rule for newer kernels is left out on an older one", () => {
  expect(actions(resolveDefaultProfile([], HOST), "ptrace")).toEqual(["SCMP_ACT_ALLOW"]);
  expect(actions(resolveDefaultProfile([], { ...HOST, kernelMajor: 4, kernelMinor: 7 }), "ptrace")).toEqual([]);
});

test("nothing of Docker's conditions reaches the runtime", () => {
  const text = JSON.stringify(resolveDefaultProfile([], HOST));
  for (const word of ["includes", "excludes", "comment", "minKernel"]) expect(text).not.toContain(word);
});

test("a user's profile is read, and what is none is refused by what is wrong", () => {
  expect(parseProfile('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"chmod","action":"SCMP_ACT_ERRNO"}]}', [], HOST)).toEqual({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["chmod"], action: "SCMP_ACT_ERRNO" }],
  });
  expect(parseProfile("{}", [], HOST)).toBeUndefined();
  for (const bad of [
    "",
    "[]",
    '{"syscalls":[{"names":["a"],"action":"x"}]}',
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"x"}]}',
    '{"defaultAction":"a","syscalls":{}}',
  ]) {
    expect(() => parseProfile(bad, [], HOST), bad).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
  }
});

test("equal filters share a key, and a filter that notifies has none", () => {
  const one = resolveDefaultProfile(["CAP_CHOWN"], HOST);
  expect(seccompKey(one)).toBe(seccompKey(resolveDefaultProfile(["CAP_KILL"], HOST)));
  expect(seccompKey(one)).not.toBe(seccompKey(resolveDefaultProfile(["CAP_SYS_ADMIN"], HOST)));
  expect(seccompKey({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["open"], action: "SCMP_ACT_NOTIFY" }] })).toBeUndefined();
});
