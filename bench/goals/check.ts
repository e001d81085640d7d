/** `npm run bench -- --check`: every row of the table of goals, in one run on this host, each beside its own control. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveClientZero } from "../client-zero.ts";
import { type CompareContext } from "../compare.ts";
import { findDaemon, findSupervisors } from "../daemon-processes.ts";
import { loadGaugeImage } from "../gauge-image.ts";
import { measureClientGoals } from "./client-goals.ts";
import { measureFootprint } from "./footprint-goals.ts";
import type { GoalResult } from "./goal.ts";
import { measureGvisorGoals } from "./gvisor-goals.ts";
import { measureMachineGoals } from "./machine-goals.ts";
import { measureVersion } from "./version-goal.ts";
import { measureVmGoals } from "./vm-goals.ts";
import { measureWasm } from "./wasm-goals.ts";
import { reasonOf } from "../reason.ts";

/** Beside the bundled program, or in a checkout. */
const NATIVE_FOLDERS = [join(import.meta.dirname, "native"), join(import.meta.dirname, "../../dist/native"), "/usr/lib/bulkhead"];

export async function checkGoals(context: CompareContext): Promise<GoalResult[]> {
  const { client, options, signal, progress } = context;
  const rounds = options.quick ? 10 : 40;
  const results: GoalResult[] = [];
  const socket = client.host.replace("unix://", "");
  const root = ((await client.system.info()) as { DockerRootDir?: string }).DockerRootDir ?? "/var/lib/bulkhead";
  const work = mkdtempSync(join(tmpdir(), "bulkhead-goals-"));
  const zero = await serveClientZero(join(work, "zero.sock"));
  const part = async (name: string, ids: readonly string[], measure: () => Promise<GoalResult[]>): Promise<void> => {
    progress.show(results.length, 15, name);
    try {
      results.push(...(await measure()));
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      for (const id of ids) results.push({ id, because: reasonOf(thrown) });
    }
  };
  try {
    await loadGaugeImage(client, context.gaugePath, process.arch === "x64" ? "amd64" : process.arch);
    await part("version", ["version"], () => measureVersion(rounds, signal));
    await part("the stock client", ["run-none", "run-bridge", "run-published", "exec", "run-parallel"], () =>
      measureClientGoals({ socket, zero: join(work, "zero.sock"), image: options.image, rounds, signal }),
    );
    await part("idle containers", ["idle-memory", "container-memory", "supervisor-memory", "start-at-scale"], () =>
      measureFootprint({
        client,
        image: options.image,
        instances: options.quick ? 50 : 300,
        signal,
        daemonPids: findDaemon(socket),
        supervisorPids: () => findSupervisors(root),
      }),
    );
    await part("gvisor", ["gvisor-run", "gvisor-exec"], async () => {
      const found = (await client.system.probes()).find((probe) => probe.identity?.engine === "runsc" && probe.usable);
      if (found?.identity === undefined) throw new Error("gVisor does not run on this host: bulkhead doctor says why");
      const { engine, version, emulated, traits } = found.identity;
      const gvisor = { id: found.kind, boundary: found.kind, engine, version, emulated };
      return measureGvisorGoals({ client, image: options.image, gvisor, traits, root: work, rounds: Math.min(rounds, 20), signal });
    });
    await part("machines", ["microvm-cold", "microvm-exec"], async () => {
      const machine = (await client.system.probes()).find((probe) => probe.identity?.engine === "qemu" && probe.usable && probe.facets.includes("exec"));
      if (machine?.identity === undefined) throw new Error("no machine can be raised on this host: bulkhead doctor says why");
      const { engine, version, emulated } = machine.identity;
      return measureMachineGoals({
        client,
        image: options.image,
        machine: { id: machine.kind, boundary: machine.kind, engine, version, emulated },
        root: work,
        rounds: Math.min(rounds, 15),
        signal,
      });
    });
    await part("whole machines", ["vm-boot"], async () => {
      const machine = (await client.system.probes()).find((probe) => probe.identity?.engine === "qemu" && probe.usable && !probe.facets.includes("exec"));
      if (machine === undefined) throw new Error("no whole machine can be raised on this host: bulkhead doctor says why");
      return measureVmGoals({ client, isolation: machine.kind, work, rounds: Math.min(rounds, 10), signal });
    });
    await part("wasm", ["wasm-warm", "wasm-cold", "wasm-memory"], () => {
      const launchers = NATIVE_FOLDERS.map((folder) => join(folder, "bulkhead-launcher"));
      return measureWasm({ launchers, rounds, instances: options.quick ? 500 : 5000, signal });
    });
    return results;
  } finally {
    progress.clear();
    zero.close();
    rmSync(work, { recursive: true, force: true });
  }
}
