import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parsePolicy } from "./document.ts";

const published = new Ajv2020().compile(JSON.parse(readFileSync("docs/schema/policy.json", "utf8")) as object);

const refused = async (text: string): Promise<string> => {
  try {
    await parsePolicy(text, "p.yaml");
  } catch (thrown) {
    return (thrown as Error).message;
  }
  return "taken";
};

describe("a policy", () => {
  it("is taken whole", async () => {
    const text = `
schemaVersion: 1
floor: [not-emulated]
fallback: { microvm: [gvisor, container] }
forbid: [privileged, "host-path:/etc", "capability:SYS_ADMIN"]
requireLimits: [memory, pids]
minimumVersions: { runsc: "20240408" }
rules:
  - name: strangers
    match: { image: ["registry.example/*"], label: { tenant: "a*" }, uid: [1000] }
    except: { uid: [0] }
    floor: [microvm]
`;
    expect(await parsePolicy(text, "p.yaml")).toMatchObject({
      forbid: ["privileged", "host-path:/etc", "capability:SYS_ADMIN"],
      rules: [{ name: "strangers", floor: ["microvm"] }],
    });
  });

  it.each([
    ["schemaVersion: 1\nfloor: [\n", /^the policy p\.yaml:\d+:\d+: /],
    ["schemaVersion: 2\n", /p\.yaml:1:16: schemaVersion must be 1/],
    ["schemaVersion: 1\nflor: [microvm]\n", /p\.yaml:\d+:\d+: "flor" is not known here; known are schemaVersion/],
    ["schemaVersion: 1\nfloor:\n  - microwm\n", /p\.yaml:3:5: "microwm" is not known here; known are separate-kernel/],
    ["schemaVersion: 1\nforbid: [host-pid:x]\n", /p\.yaml:2:10: "host-pid:x" is not known/],
    ["schemaVersion: 1\nforbid: ['host-path:etc']\n", /not known here/],
    ["schemaVersion: 1\nrequireLimits: [disc]\n", /known are memory, cpus, pids, disk/],
    ["schemaVersion: 1\nallowEmulated: sometimes\n", /allowEmulated must be true or false/],
    ["schemaVersion: 1\nrules: [{ floor: [vm] }]\n", /a rule needs a name/],
    ["schemaVersion: 1\nrules: [{ name: a }, { name: a }]\n", /two rules are called "a"/],
    ["schemaVersion: 1\nrules: [{ name: a, match: {} }]\n", /it is empty/],
    ["schemaVersion: 1\nrules: [{ name: a, match: { uid: [] } }]\n", /would match nothing/],
    ["schemaVersion: 1\nrules: [{ name: a, match: { uid: [root] } }]\n", /a uid must be a whole number/],
    ["schemaVersion: 1\nrules: [{ name: a, allowEmulated: true }]\n", /"allowEmulated" is not known here/],
    ["schemaVersion: 1\nrules: [{ name: a, except: { image: [x] } }]\n", /"image" is not known here; known are digest/],
    ["schemaVersion: 1\nrules: [{ name: a, except: { digest: [latest] } }]\n", /sha256: and 64 digits/],
    ["schemaVersion: 1\nschemaVersion: 1\n", /p\.yaml:2:1: /],
    ["schemaVersion: 1\nminimumVersions: { runsc: 2024 }\n", /in quotes/],
    ["", /it must be a mapping/],
    ["just text", /it must be a mapping/],
    ["&a [*a]", /./],
  ])("%j is refused with its place", async (text, message) => {
    expect(await refused(text)).toMatch(message);
    expect(await refused(text)).not.toBe("taken");
  });

  it.each([
    ["schemaVersion: 1", true],
    ["{ schemaVersion: 1, floor: [microvm, not-emulated], forbid: ['device:/dev/mem', api-socket], requireLimits: [disk] }", true],
    ["{ schemaVersion: 1, rules: [{ name: a, match: { registry: [x] }, except: { gid: [5] }, minimumVersions: { crun: '1' } }] }", true],
    ["{ schemaVersion: 1, floor: [microwm] }", false],
    ["{ schemaVersion: 1, forbid: ['host-path:etc'] }", false],
    ["{ schemaVersion: 1, rules: [{ floor: [vm] }] }", false],
    ["{ schemaVersion: 1, rules: [{ name: a, match: {} }] }", false],
    ["{ schemaVersion: 1, rules: [{ name: a, except: { digest: [x] } }] }", false],
    ["{ floor: [vm] }", false],
  ])("is what the published schema says: %s", async (text, good) => {
    expect((await refused(text)) === "taken").toBe(good);
    expect(published(parse(text))).toBe(good);
  });
});
