/** What no host, and what this host, can carry out: refused at create with a sentence and a remedy, and nothing is made. */

import { afterEach, beforeEach, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { MountRequest, WorkloadRequest } from "./index.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

let world: World;
beforeEach(() => {
  world = makeWorld();
});
afterEach(() => world.dispose());

const call = plainCall();
const { security } = makeRequest();
const bind = (target: string): Partial<WorkloadRequest> => ({ mounts: [{ kind: "bind", source: "/tmp", target, readOnly: false, createSource: false }] });
const nofile = (soft: number, hard = soft): Partial<WorkloadRequest> => ({ rlimits: [{ name: "RLIMIT_NOFILE", soft, hard }] });
const device = (path: string): Partial<WorkloadRequest> => ({ security: { ...security, devices: [{ hostPath: "/dev/null", path, access: "rwm" }] } });

/** The host of the tests has four processors and 1,048,576 open files. */
const REFUSED: readonly (readonly [Partial<WorkloadRequest>, RegExp])[] = [
  [nofile(1e12), /above what this host's kernel allows/],
  [nofile(1024, -1), /without limit is above/],
  [nofile(3), /lets no workload come up/],
  [{ rlimits: [{ name: "RLIMIT_FSIZE", soft: 0, hard: 0 }] }, /fsize of 0 lets no workload/],
  [bind(`/${"x/".repeat(2500)}`), /longer than 4095 bytes/],
  [bind(`/${"x".repeat(256)}`), /name longer than 255 bytes/],
  [bind("/a\0b"), /zero byte/],
  [bind("/dev"), /own devices/],
  [bind("/run/../dev/"), /own devices/],
  [bind("/proc"), /inside \/proc/],
  [bind("/proc/self/../1/root"), /inside \/proc/],
  [bind("/proc/sys/kernel"), /inside \/proc/],
  [bind("/x/.."), /root itself/],
  [{ mounts: [{ kind: "tmpfs", target: "/dev/../proc", readOnly: false, options: [] } satisfies MountRequest] }, /inside \/proc/],
  [{ sysctls: { foo: "bar" } }, /invalid sysctl/],
  [{ sysctls: { "kernel.panic": "1" } }, /not in a separate kernel namespace/],
  [{ sysctls: { "net/../kernel.panic": "1" } }, /invalid sysctl/],
  [{ sysctls: { "vm/swappiness": "1" } }, /not in a separate kernel namespace/],
  [{ sysctls: { "net.core.somaxconn": "1" }, network: "host" }, /host's network namespace/],
  [{ sysctls: { "kernel.shmmax": "1" }, security: { ...security, hostNamespaces: ["ipc"] } }, /host's ipc namespace/],
  [{ sysctls: { "net.core.somaxconn": "1\n2" } }, /invalid value/],
  [{ limits: { cpus: 4.5 } }, /range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available/],
  [{ limits: { cpuset: "0-4" } }, /Requested CPUs are not available - requested 0-4, available: 0,1,2,3/],
  [{ limits: { cpuset: "3-1" } }, /invalid processor list/],
  [{ limits: { pids: 5_000_000 } }, /invalid pids limit/],
  [{ limits: { pids: 1 } }, /pids limit of 1/],
  [{ workingDirectory: "/a\0" }, /zero byte/],
  [{ workingDirectory: `/${"x/".repeat(2500)}` }, /longer than 4095 bytes/],
  [{ command: ["echo", "x".repeat(131_072)] }, /argument list too long/],
  [{ environment: [`A=${"x".repeat(131_072)}`] }, /argument list too long/],
  [{ user: "a b" }, /invalid user or group/],
  [{ additionalGroups: ["x".repeat(300)] }, /invalid user or group/],
  [{ domainName: "a b" }, /invalid domain name/],
  [{ stopTimeoutSeconds: -1e11 }, /invalid stop timeout/],
  [device("dev/null"), /invalid device path/],
  [device("/proc/x"), /invalid device path/],
  [{ security: { ...security, maskedPaths: ["etc"] } }, /invalid masked or read-only path/],
  [{ security: { ...security, readOnlyPaths: ["/"] } }, /invalid masked or read-only path/],
];

it.each(REFUSED)("%j", async (change, sentence) => {
  const refused = world.engine.create(makeRequest(change), call);
  await expect(refused).rejects.toMatchObject({
    code: "INVALID_SPEC",
    message: expect.stringMatching(sentence) as unknown,
    remedy: expect.any(String) as unknown,
  });
  expect(world.engine.list()).toEqual([]);
  expect(world.volumes.volumes.size).toBe(0);
});

it.each<[Partial<WorkloadRequest>]>([
  [nofile(1024, 1_048_576)],
  [{ rlimits: [{ name: "RLIMIT_CORE", soft: -1, hard: -1 }] }],
  [bind("/dev/shm")],
  [bind("/proc/uptime")],
  [bind("/sys")],
  [bind(`/${"x/".repeat(2000)}`)],
  [{ sysctls: { "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "9" } }],
  [{ limits: { cpus: 4, cpuset: "0-1,3", pids: 4_194_304 } }],
  [{ stopTimeoutSeconds: -1 }],
])("%j is what a host can do", async (change) => {
  await expect(world.engine.create(makeRequest(change), call)).resolves.toMatchObject({ warnings: [] });
});

it("a limit is refused by update as by create", async () => {
  const { id } = await world.engine.create(makeRequest(), call);
  await expect(world.engine.update(id, { limits: { cpus: 5 } }, call)).rejects.toMatchObject({ code: "INVALID_SPEC" });
});
