import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BOUNDARY_KINDS } from "../contract/boundary.ts";
import { FAILURE_CODES } from "../contract/failure.ts";
import { plainCall } from "../contract/call.ts";
import { aliases } from "./docker/isolation.ts";
import { dockerRoutes } from "./docker/routes.ts";
import { adviceRoutes, type AdviceParts } from "./native/advice.ts";
import { auditRoutes } from "./native/audit.ts";
import { hostRoutes, type NativeParts } from "./native/host.ts";
import { planRoutes, type PlanParts } from "./native/plan.ts";
import { policyRoutes, type PolicyParts } from "./native/policy.ts";
import { debugRoutes } from "./native/debug.ts";
import { runRoutes } from "./native/run.ts";
import { HTTP_STATUS } from "./status.ts";
import { handled, ignored, refused, warned } from "./docker/unsupported.ts";

const text = readFileSync(new URL("../../docs/docker-api.md", import.meta.url), "utf8");

/** Routes are only listed here, never served: their parts are not looked at. */
const parts: NativeParts & AdviceParts & PolicyParts & PlanParts = {
  engine: {} as NativeParts["engine"],
  images: {} as NativeParts["images"],
  networks: {} as NativeParts["networks"],
  volumes: {} as NativeParts["volumes"],
  server: { version: "0", commit: "", id: "", rootDirectory: "", cgroup: "v2", insecureRegistries: [] },
  log: plainCall().log,
  now: () => 0,
  diagnose: async () => [],
  diskBytes: () => 0,
  advice: {} as AdviceParts["advice"],
  policy: {} as PolicyParts["policy"],
  chooseIsolation: async () => ({ isolation: "container", because: "" }),
  fallBack: async () => undefined,
};

describe("docs/docker-api.md", () => {
  it("lists every route, and no other", () => {
    const documented = [...text.matchAll(/^\| `((?:GET|HEAD|POST|PUT|DELETE) [^`]+)` \|/gm)].map(([, endpoint]) => endpoint ?? "");
    const served = [
      ...dockerRoutes(parts),
      ...hostRoutes(parts),
      ...adviceRoutes(parts),
      ...auditRoutes(parts),
      ...planRoutes(parts),
      ...policyRoutes(parts),
      ...debugRoutes(parts),
      ...runRoutes(parts),
    ].map(({ method, path }) => `${method} ${path}`);
    expect(documented.toSorted()).toEqual(served.toSorted());
  });

  it("lists every failure code with its status, and no other", () => {
    const documented = Object.fromEntries([...text.matchAll(/\| ([A-Z_]{5,}) \| (\d{3}) /g)].map(([, code, status]) => [code, Number(status)]));
    expect(Object.keys(documented).toSorted()).toEqual([...FAILURE_CODES].toSorted());
    expect(documented).toEqual(HTTP_STATUS);
  });

  it("names every boundary and every alias of one", () => {
    for (const name of [...BOUNDARY_KINDS, ...aliases]) expect(text).toContain(`\`${name}\``);
  });

  it("says of every option whether it is carried out, refused, warned about or ignored", () => {
    const section = text.slice(text.indexOf("## Options of create"), text.indexOf("## Errors"));
    const families = (name: string) =>
      name
        .replace(/^AttachStd.*/, "AttachStd*")
        .replace(/^BlkioDevice.*/, "BlkioDevice*")
        .replace(/^IOMaximum.*/, "IOMaximum*");
    for (const name of [...handled, ...refused, ...warned, ...ignored]) expect(section, name).toContain(families(name));
  });
});
