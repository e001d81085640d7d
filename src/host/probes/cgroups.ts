/** Which control groups this host has, and whether the controllers that limits need are there. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Finding } from "../../contract/driver.ts";
import { toFailure } from "../../contract/failure.ts";
import type { Launcher } from "../launcher-client.ts";

const NEEDED = ["cpu", "cpuset", "memory", "pids"];
const MOUNT = "/sys/fs/cgroup";

export async function judgeCgroups(launcher: Launcher): Promise<Finding[]> {
  let kind: string;
  try {
    kind = (await launcher.hello()).cgroup;
  } catch (thrown) {
    const failure = toFailure(thrown);
    return [{ id: "launcher-answers", level: "missing", what: failure.message, ...(failure.remedy === undefined ? {} : { remedy: failure.remedy }) }];
  }
  const { layout, controllers } = readLayout();
  const missing = NEEDED.filter((name) => !controllers.has(name));
  const what = `control groups ${kind}${layout === "hybrid" ? " (hybrid: controllers on v1 beside an empty v2 tree)" : ""}`;
  if (missing.length > 0) {
    return [
      {
        id: "cgroup-controllers",
        level: "warning",
        what: `${what}; without ${missing.join(", ")}, whose limits cannot be kept`,
        remedy: "Boot with cgroup_enable=memory, or delegate the controllers to the launcher's unit (Delegate=yes)",
      },
    ];
  }
  return [{ id: "cgroup-controllers", level: "ok", what: `${what} with ${NEEDED.join(", ")}` }];
}

function readLayout(): { layout: "v1" | "v2" | "hybrid"; controllers: ReadonlySet<string> } {
  if (existsSync(`${MOUNT}/cgroup.controllers`)) {
    return { layout: "v2", controllers: new Set(readFileSync(`${MOUNT}/cgroup.controllers`, "utf8").trim().split(" ")) };
  }
  const names = existsSync(MOUNT) ? readdirSync(MOUNT) : [];
  return { layout: names.includes("unified") ? "hybrid" : "v1", controllers: new Set(names.flatMap((name) => name.split(","))) };
}
