/** Every option of the stock client's `docker run`: it works, is warned about, or is refused by name; and our own command line knows each as well. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startFakeDaemon, type FakeDaemon } from "../../src/api/testkit/fake-daemon.ts";
import { ABSENT_OPTIONS } from "../../src/cli/specs/absent-options.ts";
import { RUN_OPTIONS } from "../../src/cli/specs/run-options.ts";
import { findClientVersion, StockClient } from "./stock-client.ts";

const scratch = mkdtempSync(join(tmpdir(), "bulkhead-options-"));
const file = (name: string, text: string): string => {
  writeFileSync(join(scratch, name), text);
  return join(scratch, name);
};
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

type Row = readonly ["works" | "warned" | "refused", readonly string[], unknown?];
/** What is to be seen in inspect, at any depth of the first word; or in what the client prints. */
const works = (words: readonly string[], seen?: unknown): Row => ["works", words, seen];
const warned = (words: readonly string[], named: string): Row => ["warned", words, named];
const refused = (words: readonly string[], named: string): Row => ["refused", words, named];
const host = (fields: object): object => ({ HostConfig: fields });
const config = (fields: object): object => ({ Config: fields });

/** The client itself refuses these, with 1 in place of 125; and it leaves `--kernel-memory` out, as the API has since 1.42. */
const WINDOWS = "only supported on a Docker daemon running on windows";

const TABLE: Readonly<Record<string, Row>> = {
  "add-host": works(["--add-host", "db:10.0.0.9"], host({ ExtraHosts: ["db:10.0.0.9"] })),
  annotation: warned(["--annotation", "a=b"], "Annotations"),
  attach: works(["-a", "stdout"]),
  "blkio-weight": warned(["--blkio-weight", "100"], "BlkioWeight"),
  "blkio-weight-device": warned(["--blkio-weight-device", "/dev/null:100"], "BlkioWeightDevice"),
  "cap-add": works(["--cap-add", "NET_ADMIN"], host({ CapAdd: ["CAP_NET_ADMIN"] })),
  "cap-drop": works(["--cap-drop", "ALL"], host({ CapDrop: ["ALL"] })),
  "cgroup-parent": refused(["--cgroup-parent", "/x"], "CgroupParent"),
  cgroupns: works(["--cgroupns", "private"], host({ CgroupnsMode: "private" })),
  cidfile: works(["--cidfile", join(scratch, "cid")]),
  "cpu-count": refused(["--cpu-count", "1"], WINDOWS),
  "cpu-percent": refused(["--cpu-percent", "1"], WINDOWS),
  "cpu-period": works(["--cpu-period", "50000", "--cpu-quota", "25000"], host({ CpuPeriod: 50_000 })),
  "cpu-quota": works(["--cpu-quota", "25000"], host({ CpuQuota: 25_000 })),
  "cpu-rt-period": refused(["--cpu-rt-period", "1000"], "CpuRealtimePeriod"),
  "cpu-rt-runtime": refused(["--cpu-rt-runtime", "1000"], "CpuRealtimeRuntime"),
  "cpu-shares": works(["-c", "512"], host({ CpuShares: 512 })),
  cpus: works(["--cpus", "1.5"], host({ NanoCpus: 1.5e9 })),
  "cpuset-cpus": works(["--cpuset-cpus", "0-1"], host({ CpusetCpus: "0-1" })),
  "cpuset-mems": warned(["--cpuset-mems", "0"], "CpusetMems"),
  detach: works(["-d"]),
  "detach-keys": works(["--detach-keys", "ctrl-x"]),
  device: works(["--device", "/dev/null"], host({ Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/null", CgroupPermissions: "rwm" }] })),
  "device-cgroup-rule": refused(["--device-cgroup-rule", "c 1:3 rwm"], "DeviceCgroupRules"),
  "device-read-bps": warned(["--device-read-bps", "/dev/null:1mb"], "BlkioDeviceReadBps"),
  "device-read-iops": warned(["--device-read-iops", "/dev/null:10"], "BlkioDeviceReadIOps"),
  "device-write-bps": warned(["--device-write-bps", "/dev/null:1mb"], "BlkioDeviceWriteBps"),
  "device-write-iops": warned(["--device-write-iops", "/dev/null:10"], "BlkioDeviceWriteIOps"),
  "disable-content-trust": works(["--disable-content-trust"]),
  dns: works(["--dns", "9.9.9.9"], host({ Dns: ["9.9.9.9"] })),
  "dns-option": works(["--dns-option", "ndots:2"], host({ DnsOptions: ["ndots:2"] })),
  "dns-search": works(["--dns-search", "example.org"], host({ DnsSearch: ["example.org"] })),
  domainname: works(["--domainname", "example.org"], config({ Domainname: "example.org" })),
  entrypoint: works(["--entrypoint", "true"], config({ Entrypoint: ["true"] })),
  env: works(["-e", "A=b"], config({ Env: expect.arrayContaining(["A=b"]) as unknown })),
  "env-file": works(["--env-file", file("env", "A=file\n")], config({ Env: expect.arrayContaining(["A=file"]) as unknown })),
  expose: works(["--expose", "80"], config({ ExposedPorts: { "80/tcp": {} } })),
  gpus: refused(["--gpus", "all"], "DeviceRequests"),
  "group-add": works(["--group-add", "7"], host({ GroupAdd: ["7"] })),
  "health-cmd": works(["--health-cmd", "true"], config({ Healthcheck: { Test: ["CMD-SHELL", "true"] } })),
  "health-interval": works(["--health-cmd", "true", "--health-interval", "5s"], config({ Healthcheck: { Interval: 5e9 } })),
  "health-retries": works(["--health-cmd", "true", "--health-retries", "5"], config({ Healthcheck: { Retries: 5 } })),
  "health-start-interval": warned(["--health-cmd", "true", "--health-start-interval", "5s"], "StartInterval"),
  "health-start-period": works(["--health-cmd", "true", "--health-start-period", "5s"], config({ Healthcheck: { StartPeriod: 5e9 } })),
  "health-timeout": works(["--health-cmd", "true", "--health-timeout", "5s"], config({ Healthcheck: { Timeout: 5e9 } })),
  hostname: works(["-h", "web"], config({ Hostname: "web" })),
  init: works(["--init"], host({ Init: true })),
  interactive: works(["-i"], config({ OpenStdin: true })),
  "io-maxbandwidth": refused(["--io-maxbandwidth", "1mb"], WINDOWS),
  "io-maxiops": refused(["--io-maxiops", "10"], WINDOWS),
  ip: refused(["--network", "bridge", "--ip", "10.0.0.9"], "address"),
  ip6: refused(["--network", "bridge", "--ip6", "fd00::9"], "address"),
  ipc: works(["--ipc", "private"], host({ IpcMode: "private" })),
  isolation: works(["--isolation", "container"], { Boundary: { kind: "container" } }),
  "kernel-memory": works(["--kernel-memory", "100m"]),
  label: works(["-l", "a=b"], config({ Labels: { a: "b" } })),
  "label-file": works(["--label-file", file("labels", "a=file\n")], config({ Labels: { a: "file" } })),
  link: refused(["--link", "db"], "Links"),
  "link-local-ip": refused(["--network", "bridge", "--link-local-ip", "169.254.1.1"], "address"),
  "log-driver": works(["--log-driver", "none"], host({ LogConfig: { Type: "none" } })),
  "log-opt": works(["--log-opt", "max-size=10m", "--log-opt", "max-file=3"], host({ LogConfig: { Config: { "max-size": "10m", "max-file": "3" } } })),
  "mac-address": refused(["--mac-address", "02:00:00:00:00:01"], "MAC address"),
  memory: works(["-m", "64m"], host({ Memory: 64 << 20 })),
  "memory-reservation": works(["--memory-reservation", "64m"], host({ MemoryReservation: 64 << 20 })),
  "memory-swap": works(["-m", "64m", "--memory-swap", "128m"], host({ MemorySwap: 128 << 20 })),
  "memory-swappiness": warned(["--memory-swappiness", "10"], "MemorySwappiness"),
  mount: works(["--mount", "type=tmpfs,target=/t"], { Mounts: [{ Type: "tmpfs", Destination: "/t" }] }),
  name: works(["--name", "by-name"], { Name: "/by-name" }),
  network: works(["--network", "none"], host({ NetworkMode: "none" })),
  "network-alias": refused(["--network-alias", "db"], "aliases"),
  "no-healthcheck": works(["--no-healthcheck"], config({ Healthcheck: { Test: ["NONE"] } })),
  "oom-kill-disable": warned(["-m", "64m", "--oom-kill-disable"], "OomKillDisable"),
  "oom-score-adj": works(["--oom-score-adj", "100"], host({ OomScoreAdj: 100 })),
  pid: works(["--pid", "host"], host({ PidMode: "host" })),
  "pids-limit": works(["--pids-limit", "9"], host({ PidsLimit: 9 })),
  platform: works(["--platform", "linux/amd64"]),
  privileged: works(["--privileged"], host({ Privileged: true })),
  publish: works(["-p", "127.0.0.1:47123:80"], host({ PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "47123" }] } })),
  "publish-all": works(["-P"], host({ PublishAllPorts: true })),
  pull: works(["--pull", "never"]),
  quiet: works(["-q"]),
  "read-only": works(["--read-only"], host({ ReadonlyRootfs: true })),
  restart: works(["--restart", "on-failure:3"], host({ RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } })),
  rm: works(["--rm"]),
  runtime: works(["--runtime", "runc"], { Boundary: { kind: "container" } }),
  "security-opt": works(["--security-opt", "no-new-privileges"], host({ SecurityOpt: ["no-new-privileges"] })),
  "shm-size": works(["--shm-size", "1m"], host({ ShmSize: 1 << 20 })),
  "sig-proxy": works(["--sig-proxy=false"]),
  "stop-signal": works(["--stop-signal", "SIGINT"], config({ StopSignal: "SIGINT" })),
  "stop-timeout": works(["--stop-timeout", "3"], config({ StopTimeout: 3 })),
  "storage-opt": works(["--storage-opt", "size=1g"], host({ StorageOpt: { size: "1g" } })),
  sysctl: works(["--sysctl", "net.core.somaxconn=9"], host({ Sysctls: { "net.core.somaxconn": "9" } })),
  tmpfs: works(["--tmpfs", "/t:size=1m"], host({ Tmpfs: { "/t": "size=1m" } })),
  tty: works(["-t"], config({ Tty: true })),
  ulimit: works(["--ulimit", "core=-1"], host({ Ulimits: [{ Name: "core", Soft: -1, Hard: -1 }] })),
  "use-api-socket": works(["--use-api-socket"], { Mounts: [{ Type: "bind", RW: true }] }),
  user: works(["-u", "7:7"], config({ User: "7:7" })),
  userns: works(["--userns", "host"], host({ UsernsMode: "host" })),
  uts: works(["--uts", "host"], host({ UTSMode: "host" })),
  volume: works(["-v", "data:/data:ro"], { Mounts: [{ Type: "volume", Name: "data", Destination: "/data", RW: false }] }),
  "volume-driver": refused(["--volume-driver", "nfs"], "volume driver"),
  "volumes-from": refused(["--volumes-from", "x"], "VolumesFrom"),
  workdir: works(["-w", "/srv"], config({ WorkingDir: "/srv" })),
};

const version = findClientVersion();
if (version === undefined) console.log("note: no docker client on PATH; the options of its run are covered in src/api/docker/create-body.test.ts");
const listed = (): string[] => {
  const { stdout } = spawnSync("docker", ["run", "--help"], { encoding: "utf8" });
  return [...stdout.matchAll(/^ +(?:-\w, )?--([a-z0-9-]+)/gm)].map(([, name]) => name ?? "").filter((name) => name !== "help");
};

describe.skipIf(version === undefined)("docker run of the stock client", () => {
  let daemon: FakeDaemon;
  let client: StockClient;
  beforeAll(async () => {
    daemon = await startFakeDaemon();
    client = new StockClient(daemon.socket);
  });
  afterAll(async () => {
    client.dispose();
    await daemon.close();
  });

  it("has no option that the table lacks", () => {
    expect(listed().filter((name) => !(name in TABLE))).toEqual([]);
  });

  it.for(Object.entries(TABLE).filter(([name]) => version !== undefined && listed().includes(name)))("--%s", async ([name, [kind, words, seen]]) => {
    const named = name === "name" ? "by-name" : `option-${name}`;
    const outcome = await client.run(["run", ...(name === "name" ? [] : ["--name", named]), ...words, "busybox", "true"]);
    if (kind === "refused") {
      expect(outcome, outcome.stderr).toMatchObject({ code: seen === WINDOWS ? 1 : 125, stderr: expect.stringContaining(String(seen)) as unknown });
      expect(daemon.engine.list().map((view) => view.name)).not.toContain(named);
      return;
    }
    expect(outcome, outcome.stderr).toMatchObject({ code: 0 });
    if (kind === "warned") expect(outcome.stderr).toContain(String(seen));
    else if (seen !== undefined) expect((JSON.parse((await client.run(["inspect", named])).stdout) as object[])[0]).toMatchObject(seen as object);
    await client.run(["rm", "-f", named]);
  });
});

describe("bulkhead run", () => {
  it("has every option of docker run, or says what to do instead", () => {
    const own = new Set(RUN_OPTIONS.map(({ name }) => name));
    for (const name of Object.keys(TABLE)) expect(own.has(name) !== (ABSENT_OPTIONS[name] !== undefined), name).toBe(true);
    for (const name of Object.keys(ABSENT_OPTIONS)) expect(Object.keys(TABLE)).toContain(name);
  });
});
