/** The kernel's version, its user namespaces and its security modules. */

import type { Finding } from "../../contract/driver.ts";
import type { HostFacts } from "../host-facts.ts";
import { findKernelValue } from "./kernel-file.ts";

export type ReadValue = (path: string) => string | undefined;

export function judgeKernel(facts: HostFacts): Finding {
  const what = `Linux ${facts.kernelRelease} on ${facts.architecture}`;
  const reaches = (major: number, minor: number) => facts.kernelMajor > major || (facts.kernelMajor === major && facts.kernelMinor >= minor);
  if (!reaches(5, 10))
    return {
      id: "kernel-version",
      level: "missing",
      what: `${what}: older than 5.10, which is the oldest supported`,
      remedy: "Upgrade the distribution's kernel",
    };
  if (!reaches(5, 19))
    return { id: "kernel-version", level: "note", what: `${what}: user namespaces for containers need 5.19 with the root on ext4, xfs or btrfs` };
  return { id: "kernel-version", level: "ok", what };
}

/** Ubuntu since 23.10 lets only programs with an AppArmor profile make user namespaces without privilege; Debian once had a switch too. */
export function judgeUserNamespaces(read: ReadValue = findKernelValue): Finding[] {
  const findings: Finding[] = [];
  if (read("/proc/sys/user/max_user_namespaces") === "0") {
    findings.push({
      id: "user-namespaces-allowed",
      level: "warning",
      what: "user.max_user_namespaces is 0: nobody can make a user namespace",
      remedy: "sysctl -w user.max_user_namespaces=31422",
    });
  }
  if (read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1") {
    findings.push({
      id: "user-namespaces-apparmor",
      level: "note",
      what: "AppArmor restricts user namespaces of programs without privilege (Ubuntu's default); the launcher runs as root and is not concerned, rootless tools are",
      remedy: "Only if a confined program fails: give it an AppArmor profile with `userns,`, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    });
  }
  if (read("/proc/sys/kernel/unprivileged_userns_clone") === "0") {
    findings.push({
      id: "user-namespaces-debian",
      level: "note",
      what: "kernel.unprivileged_userns_clone is 0: only root makes user namespaces, which is enough here",
    });
  }
  return findings;
}

export function judgeSecurityModules(read: ReadValue = findKernelValue): Finding[] {
  const modules = read("/sys/kernel/security/lsm");
  const appArmor = read("/sys/module/apparmor/parameters/enabled") === "Y";
  if (appArmor) return [{ id: "security-modules", level: "ok", what: `AppArmor is enabled${modules === undefined ? "" : ` (${modules})`}` }];
  return [
    {
      id: "security-modules",
      level: "note",
      what: `AppArmor is not enabled${modules === undefined ? "" : ` (security modules: ${modules})`}: containers run without its profile, guarded by seccomp, capabilities and masked paths`,
    },
  ];
}
