import { describe, expect, it } from "vitest";
import { BOUNDARY_KINDS } from "../../contract/boundary.ts";
import { parseJson } from "../body.ts";
import { readCreateBody } from "./create-body.ts";
import { createShape } from "./create-shape.ts";
import { echoPart } from "./echo.ts";

function read(host: object = {}, config: object = {}) {
  return readCreateBody(parseJson(Buffer.from(JSON.stringify({ Image: "busybox", ...config, HostConfig: host })), createShape), {});
}
const request = (host?: object, config?: object) => read(host, config).request;
const refusal = (host: object, config: object = {}) => {
  try {
    read(host, config);
  } catch (thrown) {
    return thrown as { code: string; message: string; remedy?: string };
  }
  throw new Error("it was accepted");
};

describe("the boundary in a create body", () => {
  it("is chosen by every name of the contract, through runtime or isolation", () => {
    for (const kind of BOUNDARY_KINDS) {
      expect(request({ Runtime: kind }).isolation).toBe(kind);
      expect(request({ Isolation: kind }).isolation).toBe(kind);
    }
  });

  it("is chosen by the names of other people's runtimes", () => {
    for (const name of ["runc", "crun", "io.containerd.runc.v2"]) expect(request({ Runtime: name }).isolation).toBe("container");
    for (const name of ["io.containerd.kata.v2", "kata", "firecracker"]) expect(request({ Runtime: name }).isolation).toBe("microvm");
    for (const name of ["runsc", "io.containerd.runsc.v1"]) expect(request({ Runtime: name }).isolation).toBe("gvisor");
    expect(request({ Runtime: "io.containerd.wasmtime.v1" }).isolation).toBe("wasm");
  });

  it("is the daemon's default where nothing, or default, is said", () => {
    for (const host of [{}, { Runtime: "" }, { Isolation: "default" }, { Runtime: "default", Isolation: "" }]) expect(request(host).isolation).toBeUndefined();
  });

  it("is refused where it is unknown, or given twice and different", () => {
    expect(refusal({ Runtime: "bogus" })).toMatchObject({ code: "INVALID_SPEC", message: 'unknown or invalid runtime name: "bogus"' });
    expect(refusal({ Isolation: "hyperv" }).code).toBe("INVALID_SPEC");
    expect(refusal({ Runtime: "runc", Isolation: "microvm" }).message).toContain("means container");
    expect(request({ Runtime: "kata", Isolation: "microvm" }).isolation).toBe("microvm");
  });
});

describe("a create body as the stock client sends it", () => {
  it("becomes a request in which absent, null, empty and zero all mean not said", () => {
    const { request: asked, warnings } = read(
      {
        Binds: null,
        NetworkMode: "bridge",
        CpuShares: 0,
        MemorySwappiness: -1,
        OomKillDisable: false,
        Init: null,
        ShmSize: 0,
        PidsLimit: null,
        Devices: [],
      },
      { Cmd: ["true"], Entrypoint: null, Env: null, WorkingDir: "", User: "", OnBuild: null, Labels: {}, Volumes: {}, AttachStdout: true },
    );
    expect(warnings).toEqual([]);
    expect(asked).toMatchObject({ image: "busybox", command: ["true"], environment: [], limits: {}, network: "bridge", mounts: [], init: false });
    for (const absent of ["entrypoint", "workingDirectory", "user", "shmBytes", "isolation", "healthCheck"]) expect(asked).not.toHaveProperty(absent);
  });

  it("keeps what was said for inspect, and nothing else", () => {
    const { request: asked } = read({ Binds: ["/a:/b"], CpuShares: 0, Dns: [], MaskedPaths: [] }, { Labels: {}, Volumes: { "/v": {} } });
    expect(echoPart(asked.adapter, "HostConfig")).toEqual({ Binds: ["/a:/b"], MaskedPaths: [] });
    expect(asked.adapter).toEqual({ docker: { Image: "busybox", Volumes: { "/v": {} }, HostConfig: { Binds: ["/a:/b"], MaskedPaths: [] } } });
  });

  it("gives a terminal the size that the client has, where it has one", () => {
    expect(request({ ConsoleSize: [33, 101] }, { Tty: true }).terminalSize).toEqual({ rows: 33, columns: 101 });
    expect(request({ ConsoleSize: [0, 0] }, { Tty: true })).not.toHaveProperty("terminalSize");
  });

  it("takes an empty entry point for none, and a command that is one string", () => {
    expect(request({}, { Entrypoint: [""], Cmd: "true" })).toMatchObject({ entrypoint: [], command: ["true"] });
  });

  it("hands on a variable without a value, which takes the image's away, and warns about fields that nobody knows", () => {
    const { request: asked, warnings } = read({ Sparkle: 1 }, { Env: ["A=1", "B"] });
    expect([asked.environment, warnings]).toEqual([["A=1", "B"], ["HostConfig.Sparkle is not carried out."]]);
  });
});

describe("mounts", () => {
  it("come from binds, mounts, tmpfs and the volumes of the configuration", () => {
    expect(
      request(
        {
          Binds: ["/src:/dst:ro,rslave", "data:/data:nocopy", "/anonymous/"],
          Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 65536, Mode: 448 } }],
          Tmpfs: { "/run": "size=64k,mode=1777,noexec" },
        },
        { Volumes: { "/data": {}, "/more": {} } },
      ).mounts,
    ).toEqual([
      { kind: "bind", source: "/src", target: "/dst", readOnly: true, createSource: true, propagation: "rslave" },
      { kind: "volume", name: "data", target: "/data", readOnly: false, copyUp: false },
      { kind: "volume", name: "", target: "/anonymous", readOnly: false, copyUp: true },
      { kind: "tmpfs", target: "/t", readOnly: false, sizeBytes: 65536, mode: 448, options: [] },
      { kind: "tmpfs", target: "/run", readOnly: false, sizeBytes: 65536, mode: 0o1777, options: ["noexec"] },
      { kind: "volume", name: "", target: "/more", readOnly: false, copyUp: true },
    ]);
  });

  it("do not make a missing source where --mount asks for a bind", () => {
    expect(request({ Mounts: [{ Type: "bind", Source: "/src", Target: "/dst" }] }).mounts[0]).toMatchObject({ createSource: false });
  });

  it("are refused on the root, twice on one target, relative, or of a kind that is none", () => {
    for (const host of [
      { Binds: ["/a:/"] },
      { Binds: ["/a:/x/../"] },
      { Binds: ["/a:/b", "/c:/b/"] },
      { Binds: ["/a:b"] },
      { Binds: ["no/name:/b"] },
      { Binds: ["/a:/b:sparkle"] },
      { Mounts: [{ Type: "bind", Source: "relative", Target: "/b" }] },
      { Tmpfs: { "/t": "sparkle" } },
    ])
      expect(refusal(host).code, JSON.stringify(host)).toBe("INVALID_SPEC");
    for (const host of [
      { Mounts: [{ Type: "npipe", Target: "/b" }] },
      { Mounts: [{ Type: "volume", Target: "/b", VolumeOptions: { DriverConfig: { Name: "nfs" } } }] },
    ])
      expect(refusal(host).code).toBe("UNSUPPORTED");
  });
});

describe("ports", () => {
  it("are published where asked for, on a free port for an empty one and for 0", () => {
    expect(
      request(
        { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }, { HostPort: "0" }], "53/udp": [{}], "1/tcp": null } },
        { ExposedPorts: { "81/tcp": {}, "90": {} } },
      ),
    ).toMatchObject({
      ports: [
        { protocol: "udp", hostAddress: "", hostPort: 0, workloadPort: 53 },
        { protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 8080, workloadPort: 80 },
        { protocol: "tcp", hostAddress: "", hostPort: 0, workloadPort: 80 },
      ].sort((a, b) => (a.protocol < b.protocol ? -1 : 1)),
      exposedPorts: expect.arrayContaining([
        { protocol: "tcp", port: 81 },
        { protocol: "tcp", port: 90 },
      ]),
    });
  });

  it("are refused where they are none", () => {
    for (const key of ["0/tcp", "65536/tcp", "http/tcp"]) expect(refusal({ PortBindings: { [key]: [{}] } }).code).toBe("INVALID_SPEC");
    expect(refusal({ PortBindings: { "80/tcp": [{ HostPort: "99999" }] } }).code).toBe("INVALID_SPEC");
    expect(refusal({ PortBindings: { "80/sctp": [{}] } }).code).toBe("UNSUPPORTED");
    expect(refusal({ PortBindings: { "80/tcp": [{ HostPort: "8000-8010" }] } }).code).toBe("UNSUPPORTED");
  });
});

describe("limits", () => {
  it("become the engine's, however Docker writes them", () => {
    expect(
      request({
        Memory: 64 << 20,
        MemorySwap: -1,
        NanoCpus: 5e8,
        CpusetCpus: "0-1",
        PidsLimit: 100,
        StorageOpt: { size: "1g" },
        CpuShares: 512,
        OomScoreAdj: -500,
      }).limits,
    ).toEqual({
      memoryBytes: 64 << 20,
      memorySwapBytes: -1,
      cpus: 0.5,
      cpuset: "0-1",
      pids: 100,
      diskBytes: 1024 ** 3,
      cpuShares: 512,
      oomScoreAdjust: -500,
    });
    expect(request({ CpuQuota: 25_000, PidsLimit: -1 }).limits).toEqual({ cpus: 0.25 });
    expect(request({ Ulimits: [{ Name: "nofile", Soft: 1024, Hard: 2048 }] }).rlimits).toEqual([{ name: "RLIMIT_NOFILE", soft: 1024, hard: 2048 }]);
  });

  it("give a limited workload as much swap as memory where nothing is said of swap, and no more", () => {
    expect(request({ Memory: 64 << 20 }).limits).toEqual({ memoryBytes: 64 << 20, memorySwapBytes: 128 << 20 });
    expect(request({ Memory: 64 << 20, MemorySwap: 64 << 20 }).limits).toMatchObject({ memorySwapBytes: 64 << 20 });
    expect(request({}).limits).toEqual({});
  });

  it("are refused where they contradict themselves or cannot hold a process", () => {
    for (const host of [
      { Memory: 1024 },
      { MemorySwap: 1 << 30 },
      { Memory: 64 << 20, MemorySwap: 32 << 20 },
      { NanoCpus: 1e9, CpuQuota: 1000 },
      { CpuQuota: 10 },
      { CpusetCpus: "all" },
      { Ulimits: [{ Name: "nofile", Soft: 2, Hard: 1 }] },
      { Ulimits: [{ Name: "bogus", Soft: 1, Hard: 1 }] },
      { StorageOpt: { inodes: "1" } },
    ])
      expect(refusal(host).code, JSON.stringify(host)).toBe("INVALID_SPEC");
  });
});

describe("security", () => {
  it("takes no-new-privileges as Go writes truth, and refuses what is neither true nor false", () => {
    for (const said of ["no-new-privileges", "no-new-privileges=true", "no-new-privileges:1", "no-new-privileges=TRUE"])
      expect(request({ SecurityOpt: [said] }).security.noNewPrivileges, said).toBe(true);
    expect(request({ SecurityOpt: ["no-new-privileges=false"] }).security.noNewPrivileges).toBe(false);
    for (const said of ["no-new-privileges=yes", "no-new-privileges=on"]) expect(refusal({ SecurityOpt: [said] }).code, said).toBe("INVALID_SPEC");
  });

  it("carries capabilities, options, host namespaces and devices", () => {
    expect(
      request({
        Privileged: true,
        CapAdd: ["NET_ADMIN", "all"],
        CapDrop: ["cap_chown"],
        SecurityOpt: ["no-new-privileges", "seccomp=unconfined", "apparmor=none"],
        PidMode: "host",
        IpcMode: "shareable",
        UsernsMode: "host",
        CgroupnsMode: "private",
        ReadonlyRootfs: true,
        MaskedPaths: [],
        Devices: [{ PathOnHost: "/dev/fuse", PathInContainer: "", CgroupPermissions: "" }],
      }).security,
    ).toEqual({
      privileged: true,
      capabilitiesAdd: ["CAP_NET_ADMIN", "ALL"],
      capabilitiesDrop: ["CAP_CHOWN"],
      noNewPrivileges: true,
      seccomp: "unconfined",
      appArmor: "none",
      readOnlyRoot: true,
      hostNamespaces: ["pid", "user"],
      maskedPaths: [],
      devices: [{ hostPath: "/dev/fuse", path: "/dev/fuse", access: "rwm" }],
    });
  });

  it("hands a seccomp profile on as text, and refuses what is no profile and what speaks to the runtime", () => {
    expect(request({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ERRNO"}'] }).security.seccomp).toEqual({
      profile: '{"defaultAction":"SCMP_ACT_ERRNO"}',
    });
    expect(refusal({ SecurityOpt: ["seccomp=/etc/profile.json"] }).code).toBe("INVALID_SPEC");
    expect(refusal({ SecurityOpt: ["sparkle"] }).code).toBe("INVALID_SPEC");
    expect(refusal({ CapAdd: ["no way"] }).code).toBe("INVALID_SPEC");
    expect(refusal({ Annotations: { "run.oci.seccomp_bpf_data": "x" } }).code).toBe("INVALID_SPEC");
  });
});

describe("what is not carried out", () => {
  it("is refused where leaving it out would change what the workload may do", () => {
    for (const host of [
      { VolumesFrom: ["other"] },
      { Links: ["a:b"] },
      { DeviceCgroupRules: ["c 1:3 mr"] },
      { DeviceRequests: [{ Count: -1 }] },
      { CgroupParent: "/x" },
      { PidMode: "container:other" },
      { NetworkMode: "container:other" },
      { VolumeDriver: "nfs" },
    ])
      expect(refusal(host).code, JSON.stringify(host)).toBe("UNSUPPORTED");
    expect(refusal({}, { MacAddress: "02:00:00:00:00:01" }).code).toBe("UNSUPPORTED");
    expect(refusal({}, { NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } } }).code).toBe("UNSUPPORTED");
    expect(refusal({}, { NetworkingConfig: { EndpointsConfig: { a: { IPAMConfig: { IPv4Address: "10.0.0.9" } } } } }).code).toBe("UNSUPPORTED");
    expect(refusal({ LogConfig: { Type: "syslog" } }).code).toBe("INVALID_SPEC");
  });

  it("is warned about where it would only tune", () => {
    expect(
      read({ KernelMemory: 1, OomKillDisable: true, LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3", tag: "x" } } }).warnings,
    ).toEqual(["HostConfig.KernelMemory is not carried out.", "HostConfig.OomKillDisable is not carried out.", 'Log option "tag" is not carried out.']);
  });
});

describe("networks, restarts, health and logs", () => {
  it("join the network that the mode or the only endpoint names", () => {
    expect(request({ NetworkMode: "none" }).network).toBe("none");
    expect(request({ NetworkMode: "default" }, { NetworkingConfig: { EndpointsConfig: { default: { IPAMConfig: null } } } }).network).toBe("bridge");
    expect(request({}, { NetworkingConfig: { EndpointsConfig: { mine: null } } }).network).toBe("mine");
    expect(request({}, { NetworkDisabled: true }).network).toBe("none");
  });

  it("refuse restart policies that cannot be", () => {
    expect(request({ RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } }).restart).toEqual({ name: "on-failure", maximumRetries: 3 });
    for (const host of [
      { RestartPolicy: { Name: "sometimes" } },
      { RestartPolicy: { Name: "always", MaximumRetryCount: 3 } },
      { AutoRemove: true, RestartPolicy: { Name: "always" } },
    ])
      expect(refusal(host).code).toBe("INVALID_SPEC");
  });

  it("count health checks in milliseconds and rotate logs by size", () => {
    expect(request({}, { Healthcheck: { Test: ["CMD", "true"], Interval: 1e9 } }).healthCheck).toEqual({
      test: ["CMD", "true"],
      intervalMs: 1000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      retries: 3,
    });
    expect(refusal({}, { Healthcheck: { Test: ["CMD", "true"], Interval: 10 } }).code).toBe("INVALID_SPEC");
    expect(request({ LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } } }).log).toEqual({
      driver: "json-file",
      maxBytes: 10_000_000,
      maxFiles: 3,
    });
  });
});
