/** The floor met by every way in, over the real engine and the fake driver. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client } from "../../../sdk/src/index.ts";
import { OPEN_POLICY, parsePolicy, type Policy } from "../../policy/index.ts";
import { type FakeDaemon, startFakeDaemon, TEST_IDENTITY } from "../testkit/fake-daemon.ts";

const text = `
schemaVersion: 1
forbid: [privileged, host-network, "host-path:/etc", "capability:SYS_ADMIN"]
rules:
  - name: busy
    match: { image: ["busybox*"] }
    requireLimits: [memory]
`;
let daemon: FakeDaemon;
let client: Client;
let policy: Policy = OPEN_POLICY;

beforeAll(async () => {
  daemon = await startFakeDaemon({
    images: ["busybox:latest"],
    identify: async (_socket, door) => ({ ...TEST_IDENTITY, socket: door }),
    get policy() {
      return policy;
    },
  });
  client = new Client({ host: `unix://${daemon.socket}` });
});
afterAll(async () => {
  client.close();
  await daemon.close();
});

async function* emptyArchive(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(1024);
}

const limited = { Memory: 64 * 1024 * 1024 };

describe("the policy", () => {
  it("stops a create by whatever spelling", async () => {
    policy = await parsePolicy(text, "p");
    const create = (HostConfig: object) => client.workloads.create({ Image: "busybox", Cmd: ["sleep"], HostConfig });
    await expect(create({ ...limited, Privileged: true })).rejects.toThrow(/privileged is forbidden .*the floor for all/);
    await expect(create({ ...limited, NetworkMode: "host" })).rejects.toThrow(/host-network is forbidden/);
    await expect(create({ ...limited, Binds: ["/etc:/x"] })).rejects.toThrow(/host-path:\/etc is forbidden/);
    await expect(create({ ...limited, Mounts: [{ Type: "bind", Source: "/etc/ssh", Target: "/x" }] })).rejects.toThrow(/host-path:\/etc is forbidden/);
    await expect(create({ ...limited, CapAdd: ["ALL"] })).rejects.toThrow(/capability:SYS_ADMIN is forbidden/);
    await expect(create({})).rejects.toThrow(/a limit of memory must be set \[busy\]/);
    // By its id the image is the same image.
    const { Id } = (await client.images.inspect("busybox")) as { Id: string };
    await expect(client.workloads.create({ Image: Id, Cmd: ["sleep"] })).rejects.toThrow(/a limit of memory must be set \[busy\]/);
  });

  it("stops copying files of a workload that it would not let run, as it stops an exec there", async () => {
    policy = OPEN_POLICY;
    const { Id } = await client.workloads.create({ Image: "busybox", Cmd: ["sleep", "100"], HostConfig: {} });
    await expect(client.files.stat(Id, "/srv")).resolves.toMatchObject({ kind: "directory" });
    policy = await parsePolicy(text, "p");
    await expect(client.files.stat(Id, "/srv")).rejects.toMatchObject({ status: 403 });
    await expect(client.files.read(Id, "/srv")).rejects.toThrow(/a limit of memory must be set/);
    await expect(client.files.write(Id, "/srv", emptyArchive())).rejects.toThrow(/a limit of memory must be set/);
    await client.workloads.remove(Id, { force: true });
  });

  it("stops the native run, and a privileged exec", async () => {
    policy = await parsePolicy(text, "p");
    await expect(client.run({ Image: "busybox", Cmd: ["echo"], HostConfig: {} })).rejects.toThrow(/a limit of memory must be set/);
    const { Id } = await client.workloads.create({ Image: "busybox", Cmd: ["sleep", "100"], HostConfig: limited });
    await client.workloads.start(Id);
    await expect(client.execs.create(Id, { Cmd: ["echo"], Privileged: true } as never)).rejects.toThrow(/privileged is forbidden/);
    await expect(client.execs.create(Id, { Cmd: ["echo"] })).resolves.toBeDefined();
    await client.workloads.remove(Id, { force: true });
  });

  it("judges a debug session as an exec of its workload and as a run of its image", async () => {
    policy = OPEN_POLICY;
    await client.images.tag("busybox", "tools:1");
    const { Id } = await client.workloads.create({ Image: "busybox", Cmd: ["sleep", "100"], HostConfig: limited });
    await client.workloads.start(Id);
    const debug = () => client.execs.debug(Id, { Image: "tools:1", Cmd: ["echo"] });
    policy = await parsePolicy(text, "p");
    const id = await debug();
    const forbidden = "schemaVersion: 1\nrules: [{ name: none of these, match: { image: ['tools:*'] }, requireLimits: [pids] }]";
    policy = await parsePolicy(forbidden, "p");
    await expect(debug()).rejects.toThrow(/a limit of pids must be set \[none of these\]/);
    await expect(client.execs.start(id, { terminal: false })).rejects.toMatchObject({ status: 403 });
    policy = await parsePolicy("schemaVersion: 1\nrequireLimits: [cpus]", "p");
    await expect(debug()).rejects.toThrow(/a limit of cpus must be set/);
    await client.workloads.remove(Id, { force: true });
  });

  it("that came later stops the start of what was made before, and lets it be stopped and removed", async () => {
    policy = await parsePolicy("schemaVersion: 1", "p");
    const { Id } = await client.workloads.create({ Image: "busybox", Cmd: ["sleep", "100"], HostConfig: { NetworkMode: "host" } });
    policy = await parsePolicy(text, "p");
    await expect(client.workloads.start(Id)).rejects.toThrow(/host-network is forbidden/);
    await client.workloads.remove(Id, { force: true });
  });

  it("answers what it would say, and makes nothing", async () => {
    policy = await parsePolicy(text, "p");
    const before = daemon.engine.list().length;
    const answer = await client.policy.check({ create: { Image: "busybox", HostConfig: { Privileged: true } } });
    expect(answer.allowed).toBe(false);
    expect(answer.violations).toContainEqual({ rule: "the floor for all", what: "privileged is forbidden (privileged)", remedy: expect.any(String) });
    expect(answer.violations).toContainEqual({ rule: "busy", what: "a limit of memory must be set", remedy: expect.stringContaining("--memory") });
    expect(
      await client.policy.check({ create: { Image: "busybox", HostConfig: { Privileged: true } }, policy: { text: "schemaVersion: 1", file: "-" } }),
    ).toMatchObject({
      allowed: true,
    });
    await expect(client.policy.parse({ text: "schemaVersion: 1\nfloor: [x]\n", file: "mine.yaml" })).rejects.toThrow(/mine\.yaml:2:9: "x" is not known/);
    expect(daemon.engine.list()).toHaveLength(before);
  });

  it("is not talked out of a label that the image has, nor out of masked paths, nor fooled by a device's other name", async () => {
    policy = await parsePolicy(
      "schemaVersion: 1\nforbid: ['device:/dev/null', unmasked-paths]\nrules: [{ name: low, match: { label: { maker: testkit } }, floor: [own-kernel] }]\n",
      "p",
    );
    const create = (document: object) => client.workloads.create({ Image: "busybox", Cmd: ["sleep"], ...document });
    await expect(create({ Labels: { maker: "somebody else" } })).rejects.toThrow(/lacks own-kernel.*\[low\]/);
    policy = await parsePolicy("schemaVersion: 1\nforbid: ['device:/dev/null', unmasked-paths]\n", "p");
    await expect(
      create({ HostConfig: { Devices: [{ PathOnHost: "/proc/self/root/dev/null", PathInContainer: "/dev/x", CgroupPermissions: "r" }] } }),
    ).rejects.toThrow(/device:\/dev\/null is forbidden/);
    await expect(create({ HostConfig: { MaskedPaths: ["/x"], ReadonlyPaths: ["/x"] } })).rejects.toThrow(/unmasked-paths is forbidden/);
  });

  it("tells callers apart by the socket that they came by", async () => {
    const door = `${daemon.socket}.untrusted`;
    await daemon.api.listen(door);
    policy = await parsePolicy(`schemaVersion: 1\nrules: [{ name: strangers, match: { socket: ["${door}"] }, forbid: [privileged] }]\n`, "p");
    const privileged = { Image: "busybox", Cmd: ["sleep"], HostConfig: { Privileged: true } };
    using stranger = new Client({ host: `unix://${door}` });
    await expect(stranger.workloads.create(privileged)).rejects.toThrow(/privileged is forbidden .*\[strangers\]/);
    const { Id } = await client.workloads.create(privileged);
    // What another may have, a stranger cannot set in motion.
    await expect(stranger.workloads.start(Id)).rejects.toThrow(/privileged is forbidden/);
    await client.workloads.remove(Id, { force: true });
  });
});
