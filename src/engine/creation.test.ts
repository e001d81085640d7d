import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { WorkloadRequest } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
let world: World;
beforeEach(() => {
  world = makeWorld();
});
afterEach(() => world.dispose());

const create = async (changes: Partial<WorkloadRequest> = {}) => (await world.engine.create(makeRequest(changes), call)).id;
const refused = async (changes: Partial<WorkloadRequest>, code: string, words: RegExp) => {
  await expect(world.engine.create(makeRequest(changes), call)).rejects.toMatchObject({ code, message: expect.stringMatching(words) as string });
  expect(world.disk.count("workloads")).toBe(0);
  expect(world.images.holders.size).toBe(0);
};

describe("create", () => {
  it("answers after one write, before anything was launched", async () => {
    await create();
    expect(world.disk.writes).toBe(1);
    expect(world.host.journal).not.toContain("launch");
  });

  it("makes up a name, and keeps the one that was asked for", async () => {
    expect(world.engine.inspect(await create()).name).toMatch(/^[a-z]+_[a-z]+$/);
    expect(world.engine.inspect(await create({ name: "/web" })).name).toBe("web");
  });

  it("refuses a name that is taken, with its holder and a remedy", async () => {
    const id = await create({ name: "web" });
    await expect(create({ name: "web" })).rejects.toMatchObject({ code: "ALREADY_EXISTS", workload: id, remedy: expect.any(String) as string });
  });

  it("gives a name to one of two who ask at once", async () => {
    const results = await Promise.allSettled([create({ name: "web" }), create({ name: "web" })]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("finds a workload by name, by id, and by the beginning of its id", async () => {
    const id = await create({ name: "web" });
    for (const reference of ["web", "/web", id, id.slice(0, 12)]) expect(world.engine.inspect(reference).id).toBe(id);
    expect(() => world.engine.inspect("nothing")).toThrow("No such container: nothing");
  });

  it("refuses what can never work, and leaves nothing", async () => {
    await refused({ image: "absent" }, "NOT_FOUND", /No such image: absent/);
    await refused({ image: "bare" }, "INVALID_SPEC", /no command/);
    await refused({ name: "-x" }, "INVALID_SPEC", /Invalid container name/);
    await refused({ workingDirectory: "relative" }, "INVALID_SPEC", /absolute/);
    await refused({ environment: ["=x"] }, "INVALID_SPEC", /environment/);
    await refused({ limits: { memoryBytes: 1024 } }, "INVALID_SPEC", /6MB/);
    await refused({ limits: { memorySwapBytes: 1024 } }, "INVALID_SPEC", /Memory limit/);
    await refused({ limits: { cpus: -1 } }, "INVALID_SPEC", /processors/);
    await refused({ limits: { cpuset: "a-b" } }, "INVALID_SPEC", /processor list/);
    await refused({ stopSignal: "SIGNOTHING" }, "INVALID_SPEC", /Invalid signal/);
    await refused({ hostname: "not valid" }, "INVALID_SPEC", /hostname/);
    await refused({ network: "absent" }, "NOT_FOUND", /network absent/);
    await refused({ autoRemove: true, restart: { name: "always", maximumRetries: 0 } }, "INVALID_SPEC", /AutoRemove/);
    await refused({ restart: { name: "always", maximumRetries: 3 } }, "INVALID_SPEC", /on-failure/);
    await refused({ ports: [{ protocol: "tcp", hostAddress: "", hostPort: 70_000, workloadPort: 80 }] }, "INVALID_SPEC", /host port/);
    const mount = { kind: "tmpfs" as const, target: "/a", readOnly: false, options: [] };
    await refused({ mounts: [mount, mount] }, "INVALID_SPEC", /Duplicate mount point/);
    await refused({ mounts: [{ ...mount, target: "a" }] }, "INVALID_SPEC", /absolute/);
    await refused({ mounts: [{ kind: "bind", source: "/missing", target: "/a", readOnly: true, createSource: false }] }, "INVALID_SPEC", /does not exist/);
    const security = makeRequest().security;
    await refused({ security: { ...security, capabilitiesAdd: ["NOT_ONE"] } }, "INVALID_SPEC", /invalid capability/);
    await refused({ platform: "linux/riscv64" }, "NOT_FOUND", /does not match the specified platform/);
  });

  it("refuses a boundary that this host lacks with the finding and its remedy, and no weaker one is taken", async () => {
    const missing = { id: "kvm-boots", level: "missing" as const, what: "A guest was booted under KVM and did not answer.", remedy: "modprobe kvm" };
    const lacking = makeWorld({ driver: { kind: "microvm", missing } });
    const request = makeRequest({ isolation: "microvm" });
    await expect(lacking.engine.create(request, call)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      boundary: "microvm",
      message: expect.stringContaining(missing.what) as string,
      remedy: "modprobe kvm",
    });
    expect(lacking.disk.count("workloads")).toBe(0);
    lacking.dispose();
    await refused({ isolation: "wasm" }, "UNSUPPORTED", /no driver for the boundary wasm/);
  });

  it("asks a probe once, and one that said no again after a while", async () => {
    await create();
    await create();
    expect(world.host.journal.filter((step) => step === "probe")).toHaveLength(1);
    const lacking = makeWorld({ driver: { missing: { id: "x", level: "missing", what: "It is missing today.", remedy: "Wait." } } });
    await expect(lacking.engine.create(makeRequest(), call)).rejects.toThrow();
    await expect(lacking.engine.create(makeRequest(), call)).rejects.toThrow();
    await lacking.clock.pass(6000);
    await expect(lacking.engine.create(makeRequest(), call)).rejects.toThrow();
    expect(lacking.host.journal.filter((step) => step === "probe")).toHaveLength(2);
    lacking.dispose();
  });

  it("refuses by trait what a boundary can never do", async () => {
    const machine = makeWorld({ driver: { kind: "microvm", traits: { kernel: "own", hostNetwork: false, hostPaths: "none" } } });
    const ask = (changes: Partial<WorkloadRequest>) => machine.engine.create(makeRequest({ isolation: "microvm", ...changes }), call);
    await expect(ask({ network: "host" })).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("cannot use the host's") as string });
    await expect(ask({ mounts: [{ kind: "volume", name: "data", target: "/d", readOnly: false, copyUp: false }] })).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
    await expect(ask({ security: { ...makeRequest().security, hostNamespaces: ["pid"] } })).rejects.toMatchObject({ code: "UNSUPPORTED" });
    machine.dispose();
  });

  it("merges the image's configuration with the request", async () => {
    const id = await create({ image: "rich", environment: ["B=mine", "C=mine"], labels: { mine: "yes" } });
    const view = world.engine.inspect(id);
    expect(view.process).toMatchObject({ command: ["echo", "from", "image"], workingDirectory: "/srv", user: "1000" });
    expect(view.process.environment).toEqual(expect.arrayContaining(["A=image", "B=mine", "C=mine", `HOSTNAME=${id.slice(0, 12)}`]));
    expect(view.labels).toEqual({ from: "image", mine: "yes" });
    expect(view.hostname).toBe(id.slice(0, 12));
  });

  it("makes an anonymous volume for an image's volume, and none where the caller mounts there", async () => {
    const id = await create({ image: "rich" });
    expect(world.engine.inspect(id).mounts).toMatchObject([{ kind: "volume", volume: "anonymous1", target: "/data" }]);
    const own = await create({ image: "rich", mounts: [{ kind: "volume", name: "mine", target: "/data/", readOnly: true, copyUp: true }] });
    expect(world.engine.inspect(own).mounts).toMatchObject([{ volume: "mine", target: "/data", readOnly: true }]);
    expect(world.volumes.volumes.size).toBe(2);
  });

  it("fills the volumes that may be filled from the image, and no others", async () => {
    const mounts = [
      { kind: "volume" as const, name: "named", target: "/named", readOnly: true, copyUp: true },
      { kind: "volume" as const, name: "plain", target: "/plain", readOnly: false, copyUp: false },
    ];
    await create({ image: "rich", mounts });
    expect(world.volumes.fills).toEqual(["named /named", "anonymous1 /data"]);
  });

  it("leaves no anonymous volume of a create that fails", async () => {
    const mounts = [{ kind: "bind" as const, source: "/missing", target: "/x", readOnly: false, createSource: false }];
    const anonymous = { kind: "volume" as const, name: "", target: "/y", readOnly: false, copyUp: false };
    await expect(create({ mounts: [anonymous, ...mounts] })).rejects.toMatchObject({ code: "INVALID_SPEC" });
    expect(world.volumes.volumes.size).toBe(0);
  });

  it("removes anonymous volumes with a workload that removes itself, and keeps named ones", async () => {
    const { engine } = world;
    const mounts = [{ kind: "volume" as const, name: "named", target: "/named", readOnly: false, copyUp: true }];
    const id = await create({ image: "rich", entrypoint: ["true"], autoRemove: true, mounts });
    await engine.start(id, call);
    await settle();
    expect([...world.volumes.volumes.keys()]).toEqual(["named"]);
  });

  it("publishes every exposed port where asked to", async () => {
    const id = await create({ image: "rich", entrypoint: ["sleep", "100"], command: [], publishAll: true, exposedPorts: [{ protocol: "udp", port: 53 }] });
    await world.engine.start(id, call);
    const { network } = world.engine.inspect(id);
    expect(network?.kind === "bridge" && network.ports.map(({ workloadPort, protocol }) => `${workloadPort}/${protocol}`)).toEqual(["53/udp", "80/tcp"]);
  });

  it("warns where published ports have no meaning", async () => {
    const ports = [{ protocol: "tcp" as const, hostAddress: "", hostPort: 80, workloadPort: 80 }];
    const { warnings } = await world.engine.create(makeRequest({ network: "host", ports }), call);
    expect(warnings[0]).toContain("discarded");
  });

  it("lists the newest first", async () => {
    const first = await create();
    const second = await create();
    expect(world.engine.list().map(({ id }) => id)).toEqual([second, first]);
  });
});
