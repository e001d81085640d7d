import { expect, it } from "vitest";
import { Failure } from "../../contract/failure.ts";
import type { SandboxSpec, SecuritySpec } from "../../contract/spec.ts";
import { type AppArmorFacts, parseProfiles } from "../../host/apparmor.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { chooseProfile, loadDefaultProfile } from "./apparmor.ts";

const specWith = (security: Partial<SecuritySpec>) => ({ workload: "a".repeat(64), security: { privileged: false, ...security } }) as SandboxSpec;
const enforcing = (): AppArmorFacts => ({ enabled: true, profiles: parseProfiles("narrow (enforce)\nwith space (complain)\n/usr/bin/man (enforce)\n") });
const absent = (): AppArmorFacts => ({ enabled: false, profiles: undefined });
const chosen = (security: Partial<SecuritySpec>, host = enforcing) => chooseProfile(specWith(security), "default-profile", host).security.appArmor;
const codeOf = (deed: () => unknown) => {
  try {
    deed();
    return "nothing was thrown";
  } catch (thrown) {
    return (thrown as Failure).code;
  }
};

it("runs containers under the default profile, and privileged ones without", () => {
  expect(chosen({})).toBe("default-profile");
  expect(chosen({ appArmor: "" })).toBe("default-profile");
  expect(chosen({ privileged: true })).toBeUndefined();
  expect(chooseProfile(specWith({}), undefined, absent).security.appArmor).toBeUndefined();
});

it("applies a loaded profile by its name, spaces included, also to a privileged container", () => {
  expect(chosen({ appArmor: "narrow", privileged: true })).toBe("narrow");
  expect(chosen({ appArmor: "with space" })).toBe("with space");
  expect(chosen({ appArmor: "unconfined" }, absent)).toBe("unconfined");
});

it("refuses a named profile that nothing would enforce", () => {
  expect(codeOf(() => chosen({ appArmor: "missing" }))).toBe("INVALID_SPEC");
  expect(codeOf(() => chosen({ appArmor: "narrow" }, absent))).toBe("UNSUPPORTED");
});

it("says when AppArmor is there and its profile cannot be loaded, and nothing where there is none", async () => {
  const launcher = (request: () => Promise<unknown>) => ({ request }) as unknown as Launcher;
  const failing = launcher(() => Promise.reject(new Failure("UNAVAILABLE", "no parser", { remedy: "install it" })));
  expect(await loadDefaultProfile(failing)).toMatchObject({ finding: { level: "warning", remedy: "install it" } });
  expect(await loadDefaultProfile(launcher(() => Promise.resolve({ profile: null })))).toEqual({});
  expect(await loadDefaultProfile(launcher(() => Promise.resolve({ profile: "p" })))).toMatchObject({ profile: "p", finding: { level: "ok" } });
});
