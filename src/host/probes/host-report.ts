/** What doctor says of the host itself, apart from any boundary: each found by doing or reading it now, with a remedy where one is needed. */

import type { Call } from "../../contract/call.ts";
import type { Finding } from "../../contract/driver.ts";
import { toFailure } from "../../contract/failure.ts";
import type { LauncherVerbs } from "../../contract/launcher-protocol.ts";
import { readHostFacts } from "../host-facts.ts";
import type { Launcher } from "../launcher-client.ts";
import { nativeCommand } from "../program-home.ts";
import { judgeCgroups } from "./cgroups.ts";
import { judgeDisk } from "./disk.ts";
import { judgeKernel, judgeSecurityModules, judgeUserNamespaces } from "./kernel.ts";
import { judgeLimits } from "./limits.ts";

type Mechanism = LauncherVerbs["probe"]["ask"]["what"];

/** Mechanisms that the launcher tries; what a boundary needs is judged again by its own driver. */
const TRIED: readonly { what: Mechanism; remedy: string }[] = [
  { what: "overlay", remedy: "modprobe overlay" },
  { what: "user-namespaces", remedy: "sysctl -w user.max_user_namespaces=31422" },
  { what: "idmapped-mounts", remedy: "Use a kernel of 5.19 or newer and keep the root on ext4, xfs or btrfs" },
  { what: "bridge", remedy: "modprobe bridge veth" },
  { what: "nftables", remedy: "apt-get install --no-install-recommends nftables && modprobe nf_tables" },
  { what: "tun", remedy: "modprobe tun" },
  // Their bridges keep address pools from being used.
  { what: "orphans", remedy: nativeCommand("bulkhead-launcher --orphans --teardown") },
];

/** Never rejects: what cannot be found out is a finding as well. */
export async function reportHost(options: { readonly launcher: Launcher; readonly root: string }, call: Call): Promise<readonly Finding[]> {
  const facts = readHostFacts();
  const [tried, cgroups, disk] = await Promise.all([
    Promise.all(TRIED.map((mechanism) => tryMechanism(options.launcher, mechanism))),
    judgeCgroups(options.launcher),
    judgeDisk(options.root),
  ]);
  call.log.debug({ findings: tried.length }, "the host was looked at");
  return [judgeKernel(facts), ...cgroups, ...tried, ...judgeUserNamespaces(), ...judgeSecurityModules(), ...disk, ...judgeLimits()];
}

async function tryMechanism(launcher: Launcher, mechanism: (typeof TRIED)[number]): Promise<Finding> {
  const id = `host-${mechanism.what}`;
  try {
    const { works, detail } = await launcher.request("probe", { what: mechanism.what });
    return works ? { id, level: "ok", what: detail } : { id, level: "warning", what: detail, remedy: mechanism.remedy };
  } catch (thrown) {
    const failure = toFailure(thrown);
    return { id, level: "warning", what: `${mechanism.what} could not be tried: ${failure.message}`, remedy: failure.remedy ?? mechanism.remedy };
  }
}
