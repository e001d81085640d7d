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
    '{"defaultAction":"a","syscalls":[null]}',
    '{"defaultAction":"a","archMap":{}}',
    '{"defaultAction":"a","archMap":[null]}',
    '{"defaultAction":"a","architectures":5}',
    '{"defaultAction":"a","flags":5}',
    '{"defaultAction":"a","syscalls":[{"names":[5],"action":"x"}]}',
    '{"defaultAction":"a","syscalls":[{"names":["a"],"action":"x","args":{}}]}',
    '{"defaultAction":"a","syscalls":[{"names":["a"],"action":"x","includes":{"caps":5}}]}',
    ...["18446744073709551616", "-1", "1.5", '"1"'].map(
      (word) => `{"defaultAction":"a","syscalls":[{"names":["a"],"action":"x","args":[{"index":0,"value":${word},"op":"y"}]}]}`,
    ),
  ]) {
    expect(() => parseProfile(bad, [], HOST), bad).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
  }
});

test("what arguments are compared with keeps all its 64 bits", () => {
  const rule = (value: string) =>
    `{"names":["getpgid"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":${value},"valueTwo":4294967296,"op":"SCMP_CMP_MASKED_EQ"}]}`;
  const profile = (value: string) => parseProfile(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[${rule(value)}]}`, [], HOST);
  const keys = ["18446744069414584320", "18446744069414584321", "18446744073709551615", "255"].map((value) => {
    const read = profile(value);
    expect(JSON.stringify(read)).toContain(`"value":${value},"valueTwo":4294967296`);
    return read && seccompKey(read);
  });
  expect(new Set(keys).size).toBe(4);
});

test("equal filters share a key, and a filter that notifies has none", () => {
  const one = resolveDefaultProfile(["CAP_CHOWN"], HOST);
  expect(seccompKey(one)).toBe(seccompKey(resolveDefaultProfile(["CAP_KILL"], HOST)));
  expect(seccompKey(one)).not.toBe(seccompKey(resolveDefaultProfile(["CAP_SYS_ADMIN"], HOST)));
  expect(seccompKey({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["open"], action: "SCMP_ACT_NOTIFY" }] })).toBeUndefined();
});
