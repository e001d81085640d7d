import { expect, test } from "vitest";
import { judgeRoom } from "./disk.ts";
import { judgeKernel, judgeSecurityModules, judgeUserNamespaces } from "./kernel.ts";
import { judgeLimits } from "./limits.ts";

const facts = (kernelMajor: number, kernelMinor: number) => ({
  architecture: "amd64",
  kernelRelease: `${kernelMajor}.${kernelMinor}.0`,
  kernelMajor,
  kernelMinor,
  capabilityMask: 0n,
});
const from = (values: Record<string, string>) => (path: string) => values[path];

test.each([
  [4, 19, "missing"],
  [5, 10, "note"],
  [5, 19, "ok"],
  [6, 1, "ok"],
])("kernel %i.%i is %s", (major, minor, level) => {
  expect(judgeKernel(facts(major, minor)).level).toBe(level);
});

test("Ubuntu's restriction of user namespaces is found and explained", () => {
  const [finding] = judgeUserNamespaces(from({ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1" }));
  expect(finding).toMatchObject({ id: "user-namespaces-apparmor", remedy: expect.stringContaining("apparmor_restrict_unprivileged_userns=0") });
  expect(judgeUserNamespaces(from({ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0", "/proc/sys/user/max_user_namespaces": "100" }))).toEqual([]);
  expect(judgeUserNamespaces(from({ "/proc/sys/user/max_user_namespaces": "0" }))[0]).toMatchObject({
    level: "warning",
    remedy: expect.stringContaining("sysctl"),
  });
});

test("AppArmor is said to be there or not", () => {
  expect(judgeSecurityModules(from({ "/sys/module/apparmor/parameters/enabled": "Y" }))[0]?.level).toBe("ok");
  expect(judgeSecurityModules(from({ "/sys/kernel/security/lsm": "lockdown,bpf" }))[0]).toMatchObject({
    level: "note",
    what: expect.stringContaining("lockdown,bpf"),
  });
});

test("a full disk is told in bytes and in inodes, with what to do", () => {
  const gib = 1024 ** 3;
  expect(judgeRoom("/r", { freeBytes: 100 * gib, freeInodes: 1e6 })).toMatchObject([{ id: "disk-space", level: "ok" }]);
  expect(judgeRoom("/r", { freeBytes: gib, freeInodes: undefined })).toMatchObject([{ level: "warning", remedy: expect.stringContaining("rmi") }]);
  expect(judgeRoom("/r", { freeBytes: 1000, freeInodes: 10 })).toMatchObject([{ level: "missing" }, { id: "disk-inodes", level: "warning" }]);
});

test("limits that are too low come with the command that raises them", () => {
  const line = (files: string) => `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${files}                4096                 files\n`;
  expect(judgeLimits(from({}), line("1024"))).toMatchObject([{ level: "warning", remedy: expect.stringContaining("ulimit -n") }]);
  expect(judgeLimits(from({}), line("unlimited"))).toMatchObject([{ level: "ok" }]);
  const low = judgeLimits(from({ "/proc/sys/kernel/pid_max": "1000", "/proc/sys/fs/inotify/max_user_instances": "128" }), line("65536"));
  expect(low.map(({ id }) => id)).toEqual(["limit-open-files", "limit-pids", "limit-inotify"]);
});
