import { describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { NetworkSpec } from "../contract/spec.ts";
import type { Networks, PortWish } from "./index.ts";
import { type NetworkRecord, type NetworksOptions, openNetworks } from "./networks.ts";
import { memoryCollection, notedLauncher, route, ROUTES_HEADER } from "./testkit/host.ts";

const call = plainCall();
const id = (number: number) => number.toString(16).padStart(64, "0");
const tcp = (hostPort: number, workloadPort: number, hostAddress = ""): PortWish => ({ protocol: "tcp", hostAddress, hostPort, workloadPort });

function bed(files: Record<string, string> = {}, options: Partial<NetworksOptions> = {}) {
  const launcher = notedLauncher();
  const store = memoryCollection<NetworkRecord>();
  let now = 1_000_000;
  const open = () => openNetworks({ rootId: "abc123", launcher, store, readFile: (path) => files[path], now: () => now, ...options });
  return { launcher, store, files, open, networks: open(), pass: (ms: number) => (now += ms) };
}

async function join(networks: Networks, number: number, ports: readonly PortWish[] = []) {
  const spec = await networks.join(id(number), "bridge", ports, call);
  if (spec.kind !== "bridge") throw new Error("not a bridge");
  return spec;
}

describe("joining the bridge", () => {
  it("gives an address, a mac of it, the gateway and a bridge that stands", async () => {
    const { networks, launcher } = bed();
    expect(await join(networks, 1)).toEqual({
      kind: "bridge",
      bridge: "bhabc1230",
      interfaceName: "eth0",
      address: "172.20.0.2",
      prefixLength: 23,
      gateway: "172.20.0.1",
      mac: "02:42:ac:14:00:02",
      mtu: 1500,
      ports: [],
    });
    expect(launcher.asked).toEqual([{ bridge: "bhabc1230", address: "172.20.0.1", prefixLength: 23, mtu: 1500, masquerade: true, metadata: false }]);
  });

  it("lets members reach clouds' metadata services only where that was configured", async () => {
    const { networks, launcher } = bed({}, { metadata: true });
    await join(networks, 1);
    expect(launcher.asked).toMatchObject([{ bridge: "bhabc1230", metadata: true }]);
  });

  it("gives the same again to the same workload, and asks for the bridge once", async () => {
    const { networks, launcher } = bed();
    const [first, again, other] = await Promise.all([join(networks, 1), join(networks, 1), join(networks, 2)]);
    expect(again).toEqual(first);
    expect(other.address).toBe("172.20.0.3");
    expect(launcher.asked).toHaveLength(1);
  });

  it("does not give an address that has just become free", async () => {
    const { networks } = bed();
    await join(networks, 1);
    networks.leave(id(1));
    networks.leave(id(1));
    expect((await join(networks, 2)).address).toBe("172.20.0.3");
  });

  it("goes on with a further bridge while a broadcast still fits in the host's queue twice, and refuses when the subnet is full", async () => {
    const { networks, launcher } = bed({}, { pools: ["10.5.0.0/22"] });
    let last: Extract<NetworkSpec, { kind: "bridge" }> | undefined;
    for (let number = 1; number <= 510; number++) last = await join(networks, number);
    expect(last).toMatchObject({ bridge: "bhabc1230-1", address: "10.5.2.2", gateway: "10.5.2.1", prefixLength: 23 });
    expect(launcher.asked.map(({ bridge }) => bridge)).toEqual(["bhabc1230", "bhabc1230-1"]);
    for (let number = 511; number <= 1018; number++) await join(networks, number);
    await expect(join(networks, 1019)).rejects.toMatchObject({ code: "EXHAUSTED" });
    networks.leave(id(7));
    expect((await join(networks, 1019)).address).toBe("10.5.0.8");
  });

  it("gives back what it reserved when the bridge cannot be made, and tries anew the next time", async () => {
    const { networks, launcher } = bed();
    launcher.failing = true;
    await expect(join(networks, 1, [tcp(8080, 80)])).rejects.toMatchObject({ code: "UNAVAILABLE" });
    launcher.failing = false;
    expect((await join(networks, 2, [tcp(8080, 80)])).ports).toHaveLength(1);
    expect(launcher.asked).toHaveLength(2);
  });

  it("asks for the bridge again after ten seconds, without letting anybody wait for it", async () => {
    const { networks, launcher, pass } = bed();
    await join(networks, 1);
    pass(11_000);
    launcher.failing = true;
    await expect(join(networks, 2)).resolves.toBeDefined();
    expect(launcher.asked).toHaveLength(2);
  });

  it("takes the smaller packets of the way out", async () => {
    const { networks } = bed({ "/proc/net/route": [ROUTES_HEADER, route("wg0", "0.0.0.0/0")].join("\n"), "/sys/class/net/wg0/mtu": "1420\n" });
    expect((await join(networks, 1)).mtu).toBe(1420);
  });
});

describe("choosing the subnet", () => {
  const routes = (...rows: string[]) => [ROUTES_HEADER, ...rows, ""].join("\n");

  it("overlaps no route and no resolver of the host", async () => {
    const { networks } = bed({
      "/proc/net/route": routes(route("eth0", "0.0.0.0/0"), route("vpn0", "172.20.128.0/17"), route("lan0", "172.16.0.0/13")),
      "/etc/resolv.conf": "nameserver 172.24.0.53\n",
    });
    expect((await join(networks, 1)).address).toBe("172.25.0.2");
  });

  it("keeps its choice over a restart, though its own bridge has a route there now", async () => {
    const { networks, files, open } = bed();
    await join(networks, 1);
    files["/proc/net/route"] = routes(route("bhabc1230", "172.20.0.0/22"));
    expect((await join(open(), 2)).address).toBe("172.20.0.2");
  });

  it("cuts a subnet of an earlier version as that version did: what runs in it keeps its gateway", async () => {
    const { networks, store, open } = bed();
    await join(networks, 1);
    const { slicePrefix, ...older } = store.get("bridge") as NetworkRecord;
    expect(slicePrefix).toBe(23);
    store.put("bridge", older);
    const later = open();
    for (let number = 2; number <= 600; number++) await join(later, number);
    expect(await join(later, 601)).toMatchObject({ bridge: "bhabc1230", gateway: "172.20.0.1", prefixLength: 22 });
  });

  it("chooses anew when the host has got such a route and nobody is in the subnet", async () => {
    const { networks, files, open } = bed();
    const spec = await join(networks, 1);
    files["/proc/net/route"] = routes(route("vpn0", "172.20.0.0/16"));
    expect((await join(open(), 2)).address).toBe("172.21.0.2");
    const lived = open();
    lived.restore(id(1), spec);
    expect((await join(lived, 1)).address).toBe("172.21.0.2");
  });

  it("says so when no pool is free", async () => {
    const { networks } = bed({ "/proc/net/route": routes(route("lan0", "10.0.0.0/8")) }, { pools: ["10.1.0.0/16"] });
    await expect(join(networks, 1)).rejects.toMatchObject({ code: "EXHAUSTED", remedy: expect.stringContaining("networks.pools") });
    expect(() => bed({}, { pools: ["10.1.0.0"] })).toThrow("not a range");
  });
});

describe("networks", () => {
  it("are bridge, host and none, found by name, id or the beginning of an id", async () => {
    const { networks } = bed();
    expect(networks.list().map(({ name, driver }) => `${name} ${driver}`)).toEqual(["bridge bridge", "host host", "none null"]);
    const { id: whole } = networks.get("bridge");
    expect(networks.get(whole.slice(0, 12)).name).toBe("bridge");
    expect(() => networks.get("mine")).toThrow('network "mine" not found');
    expect(() => networks.get("")).toThrow("not found");
    await expect(networks.join(id(1), "mine", [], call)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("show who is in them", async () => {
    const { networks } = bed();
    await join(networks, 1);
    expect(networks.get("bridge")).toMatchObject({
      subnet: "172.20.0.0/16",
      gateway: "172.20.0.1",
      members: [{ workload: id(1), address: "172.20.0.2", mac: "02:42:ac:14:00:02" }],
    });
  });

  it("host and none need nothing of the host", async () => {
    const { networks, launcher } = bed();
    expect(await networks.join(id(1), "host", [tcp(80, 80)], call)).toEqual({ kind: "host" });
    expect(await networks.join(id(2), "none", [], call)).toEqual({ kind: "none" });
    expect(launcher.asked).toEqual([]);
  });

  it("remember after a restart what the engine tells of reservations", async () => {
    const { networks, open } = bed();
    const spec = await join(networks, 1, [tcp(8080, 80)]);
    const later = open();
    later.restore(id(1), spec);
    expect((await join(later, 2)).address).toBe("172.20.0.3");
    await expect(join(later, 3, [tcp(8080, 81)])).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    later.leave(id(1));
    expect((await join(later, 3, [tcp(8080, 81)])).ports[0]?.hostPort).toBe(8080);
  });
});

describe("ports", () => {
  it("are refused where another workload has them, naming it", async () => {
    const { networks } = bed();
    await join(networks, 1, [tcp(8080, 80, "127.0.0.1")]);
    await expect(join(networks, 2, [tcp(8080, 80)])).rejects.toThrow("port 0.0.0.0:8080/tcp is already published by workload 000000000000");
    expect((await join(networks, 3, [tcp(8080, 80, "127.0.0.2"), { ...tcp(8080, 80), protocol: "udp" }])).ports).toHaveLength(2);
    expect(networks.get("bridge").members).toHaveLength(2);
  });

  it("are chosen where 0 is wished, past those that the host or a workload uses", async () => {
    const listening = "  sl  local_address rem_address   st\n   0: 0100007F:C001 00000000:0000 0A\n   1: 0100007F:C002 0100007F:0016 01\n";
    const { networks } = bed({ "/proc/net/tcp": listening });
    await join(networks, 1, [tcp(49_155, 1)]);
    const { ports } = await join(networks, 2, [tcp(0, 80), tcp(0, 81)]);
    expect(ports.map(({ hostPort }) => hostPort)).toEqual([49_154, 49_156]);
  });

  it("are refused where they cannot be", async () => {
    const { networks } = bed();
    for (const [wish, code] of [
      [tcp(70_000, 80), "INVALID_SPEC"],
      [tcp(80, 0), "INVALID_SPEC"],
      [tcp(80, 80, "example"), "INVALID_SPEC"],
      [tcp(80, 80, "::1"), "UNSUPPORTED"],
    ] as const)
      await expect(join(networks, 1, [wish])).rejects.toMatchObject({ code });
  });
});
