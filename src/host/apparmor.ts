/** What the kernel says of AppArmor: whether it enforces anything, and which profiles are loaded. */

import { readFileSync } from "node:fs";

export interface AppArmorFacts {
  readonly enabled: boolean;
  /** Names of loaded profiles; undefined where they cannot be read. */
  readonly profiles: ReadonlySet<string> | undefined;
}

export function readAppArmor(): AppArmorFacts {
  const enabled = read("/sys/module/apparmor/parameters/enabled")?.trim() === "Y";
  const list = enabled ? read("/sys/kernel/security/apparmor/profiles") : undefined;
  return { enabled, profiles: list === undefined ? undefined : parseProfiles(list) };
}

/** Lines of `name (mode)`; a name may hold spaces. */
export function parseProfiles(list: string): ReadonlySet<string> {
  return new Set([...list.matchAll(/^(.+) \(\S+\)$/gm)].map(([, name = ""]) => name));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
