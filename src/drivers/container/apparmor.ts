/** Which AppArmor profile a container runs under: the launcher's default, one of the host's by name, or none. */

import type { Finding } from "../../contract/driver.ts";
import { Failure, quote, toFailure } from "../../contract/failure.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { AppArmorFacts } from "../../host/apparmor.ts";
import type { Launcher } from "../../host/launcher-client.ts";

const UNCONFINED = "unconfined";

/** Has the launcher load the default profile. No finding where the kernel has no AppArmor: then nothing was promised. */
export async function loadDefaultProfile(launcher: Launcher): Promise<{ profile?: string; finding?: Finding }> {
  try {
    const { profile } = await launcher.request("appArmor", {});
    if (profile === null) return {};
    return { profile, finding: { id: "apparmor-profile", level: "ok", what: `AppArmor's profile ${profile} was loaded, and containers run under it` } };
  } catch (thrown) {
    const { message, remedy } = toFailure(thrown);
    return {
      finding: {
        id: "apparmor-profile",
        level: "warning",
        what: `Containers run without an AppArmor profile: ${message}`,
        ...(remedy === undefined ? {} : { remedy }),
      },
    };
  }
}

/**
 * The spec with its profile decided. A profile that was named is either applied or refused: INVALID_SPEC where it is not loaded,
 * UNSUPPORTED where nothing would enforce it.
 */
export function chooseProfile(spec: SandboxSpec, defaultProfile: string | undefined, host: () => AppArmorFacts): SandboxSpec {
  const { appArmor: named, ...security } = spec.security;
  const about = { workload: spec.workload, boundary: "container" } as const;
  if (named === undefined || named === "") {
    return { ...spec, security: { ...security, ...(defaultProfile === undefined || security.privileged ? {} : { appArmor: defaultProfile }) } };
  }
  if (named === UNCONFINED) return spec;
  const { enabled, profiles } = host();
  if (!enabled) {
    throw new Failure("UNSUPPORTED", `The AppArmor profile ${quote(named)} cannot be enforced: this kernel has no AppArmor enabled`, {
      ...about,
      remedy: "Leave --security-opt apparmor out, or boot with apparmor=1 security=apparmor",
    });
  }
  if (profiles?.has(named) === false) {
    throw new Failure("INVALID_SPEC", `The AppArmor profile ${quote(named)} is not loaded`, { ...about, remedy: "Load it first: apparmor_parser -r FILE" });
  }
  return spec;
}
