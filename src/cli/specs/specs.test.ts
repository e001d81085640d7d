import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseFlags } from "../flags.ts";
import { createDocument } from "./create-document.ts";
import { parsePairs, parseVariableFile, parseVariables } from "./environment.ts";
import { parseDevice, parseRestart, parseUlimit } from "./limits.ts";
import { parseExposed, parsePublication } from "./port.ts";
import { RUN_OPTIONS } from "./run-options.ts";
import { parseMount, parseTmpfs, parseVolume } from "./volume.ts";

describe("publications", () => {
  it.each([
    ["80", [["80/tcp", undefined, ""]]],
    ["8080:80", [["80/tcp", undefined, "8080"]]],
    ["8080:80/udp", [["80/udp", undefined, "8080"]]],
    ["127.0.0.1:8080:80", [["80/tcp", "127.0.0.1", "8080"]]],
    ["127.0.0.1::80", [["80/tcp", "127.0.0.1", ""]]],
    ["[::1]:8080:80", [["80/tcp", "::1", "8080"]]],
    ["0:80", [["80/tcp", undefined, "0"]]],
    [
      "8000-8001:80-81",
      [
        ["80/tcp", undefined, "8000"],
        ["81/tcp", undefined, "8001"],
      ],
    ],
    ["8000-8010:80", [["80/tcp", undefined, "8000-8010"]]],
    [
      "80-81",
      [
        ["80/tcp", undefined, ""],
        ["81/tcp", undefined, ""],
      ],
    ],
  ])("%s", (text, expected) => expect(parsePublication(text).map(({ port, binding }) => [port, binding.HostIp, binding.HostPort])).toEqual(expected));

  it.each(["", "x", "80:x", "70000", "8080:70000", "9-8", "8000-8002:80-81", "1.2.3:80:80", "999.1.1.1:80:80", "80/icmp", "a:b:c:d"])("%j is refused", (text) =>
    expect(() => parsePublication(text)).toThrow(/cannot publish/),
  );

  it("exposed ports are noted without a place on the host", () => {
    expect(parseExposed("8000-8001/udp")).toEqual(["8000/udp", "8001/udp"]);
    expect(() => parseExposed("x")).toThrow(/cannot publish/);
  });
});

describe("volumes", () => {
  it.each([
    ["/a:/b", { bind: "/a:/b" }],
    ["/a:/b:ro", { bind: "/a:/b:ro" }],
    ["data:/b:rw,nocopy", { bind: "data:/b:rw,nocopy" }],
    ["/b", { anonymous: "/b" }],
    ["./x:/b", { bind: `${process.cwd()}/x:/b` }],
  ])("%s", (text, expected) => expect(parseVolume(text)).toEqual(expected));

  it.each(["", "a", "/a:b", "/a:/b:rx", "a b:/c", "/a:/b:ro:x", ":/b"])("%j is refused", (text) =>
    expect(() => parseVolume(text)).toThrow(/cannot use the volume/),
  );
});

describe("mounts", () => {
  it("of each kind are read with their options", () => {
    expect(parseMount("type=bind,source=/a,target=/b,readonly")).toEqual({ Type: "bind", Source: "/a", Target: "/b", ReadOnly: true });
    expect(parseMount("type=bind,src=/a,dst=/b,bind-propagation=rslave")).toMatchObject({ BindOptions: { Propagation: "rslave" } });
    expect(parseMount("source=data,destination=/b,volume-nocopy")).toEqual({
      Type: "volume",
      Source: "data",
      Target: "/b",
      ReadOnly: false,
      VolumeOptions: { NoCopy: true },
    });
    expect(parseMount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777")).toMatchObject({ TmpfsOptions: { SizeBytes: 64 * 1024 ** 2, Mode: 0o1777 } });
    expect(parseTmpfs("/run:size=1m,noexec")).toEqual(["/run", "size=1m,noexec"]);
  });

  it.each([
    "",
    "type=bind,target=/b",
    "type=nfs,target=/b",
    "type=bind,source=/a",
    "type=tmpfs,source=/a,target=/b",
    "type=bind,source=/a,target=/b,colour=red",
    "type=bind,source=/a,target=/b,tmpfs-size=1m",
    "type=tmpfs,target=/t,tmpfs-mode=9",
  ])("%j is refused", (text) => expect(() => parseMount(text)).toThrow(/cannot use the mount/));
});

describe("variables", () => {
  const own = { HOME: "/root", EMPTY: "" };
  it("without a value pass the caller's on, and are left out where there is none", () => {
    expect(parseVariables(["A=1", "HOME", "NOPE", "EMPTY", "B="], own)).toEqual(["A=1", "HOME=/root", "EMPTY=", "B="]);
    expect(() => parseVariables(["=x"], own)).toThrow(/no environment variable/);
  });

  it("in files keep everything after =, quotes and blanks included", () => {
    const text = '\uFEFF# comment\n\n  A= x \r\nB="q=r"\nHOME\nNOPE\n#C=1\n';
    expect(parseVariableFile(text, "f", own)).toEqual(["A= x ", 'B="q=r"', "HOME=/root"]);
    expect(() => parseVariableFile("A=1\nB C=2\n", "f", own)).toThrow(/f, line 2/);
  });

  it("as labels may have no value", () => expect(parsePairs(["a=b=c", "d"], "--label")).toEqual({ a: "b=c", d: "" }));
});

describe("small forms", () => {
  it("limits, devices and restart policies are read as Docker reads them", () => {
    expect(parseUlimit("nofile=1024:2048")).toEqual({ Name: "nofile", Soft: 1024, Hard: 2048 });
    expect(parseUlimit("core=unlimited")).toEqual({ Name: "core", Soft: -1, Hard: -1 });
    expect(parseDevice("/dev/fuse")).toEqual({ PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rwm" });
    expect(parseDevice("/dev/sda:/dev/xvda:r")).toEqual({ PathOnHost: "/dev/sda", PathInContainer: "/dev/xvda", CgroupPermissions: "r" });
    expect(parseDevice("/dev/sda:r")).toMatchObject({ PathInContainer: "/dev/sda", CgroupPermissions: "r" });
    expect(parseRestart("on-failure:3")).toEqual({ Name: "on-failure", MaximumRetryCount: 3 });
    for (const bad of ["nofile", "nofile=2:1", "nofile=x"]) expect(() => parseUlimit(bad)).toThrow(/limit/);
    for (const bad of ["fuse", "/dev/a:b:c:d", "/dev/a:/b:q"]) expect(() => parseDevice(bad)).toThrow(/device/);
    for (const bad of ["sometimes", "always:3"]) expect(() => parseRestart(bad)).toThrow(/restart policy/);
  });
});

describe("the document of a run", () => {
  const joined = { stdin: false, stdout: true, stderr: true };
  const documentOf = (...words: string[]): ReturnType<typeof createDocument> => {
    const { flags, args } = parseFlags(words, RUN_OPTIONS, true);
    return createDocument(flags, args, joined);
  };
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "bulkhead-specs-"));
    writeFileSync(join(directory, "env"), "FROM_FILE=1\n");
    writeFileSync(join(directory, "seccomp.json"), '{ "defaultAction": "SCMP_ACT_ALLOW" }');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it("says only what was said: the image and the daemon decide the rest", () => {
    expect(documentOf("busybox")).toEqual({
      Image: "busybox",
      Env: [],
      Labels: {},
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      AttachStdin: false,
      AttachStdout: true,
      AttachStderr: true,
      HostConfig: {},
    });
  });

  it("carries every limit, mount and guard in Docker's fields", () => {
    const words =
      "--memory 64m --memory-swap -1 --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0-1 --pids-limit 99 --read-only --cap-drop ALL --cap-add NET_BIND_SERVICE --security-opt no-new-privileges --init --shm-size 1m --sysctl a.b=1 --dns 1.1.1.1 --add-host h=1.2.3.4 --isolation microvm --network none -p 8080:80 -p 8081:80 -v /a:/b -v /anon --tmpfs /t --user 1:2 -w /w --stop-signal INT --stop-timeout 3 --restart always --log-opt max-size=1m";
    const document = documentOf(...words.split(" "), "busybox", "sh", "-c", "x");
    expect(document).toMatchObject({
      Cmd: ["sh", "-c", "x"],
      User: "1:2",
      WorkingDir: "/w",
      StopSignal: "INT",
      StopTimeout: 3,
      ExposedPorts: { "80/tcp": {} },
      Volumes: { "/anon": {} },
    });
    expect(document.HostConfig).toEqual({
      Binds: ["/a:/b"],
      Tmpfs: { "/t": "" },
      PortBindings: { "80/tcp": [{ HostPort: "8080" }, { HostPort: "8081" }] },
      NetworkMode: "none",
      Memory: 64 * 1024 ** 2,
      MemorySwap: -1,
      NanoCpus: 5e8,
      CpuShares: 512,
      CpusetCpus: "0-1",
      PidsLimit: 99,
      ReadonlyRootfs: true,
      CapAdd: ["NET_BIND_SERVICE"],
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Init: true,
      RestartPolicy: { Name: "always", MaximumRetryCount: 0 },
      Sysctls: { "a.b": "1" },
      ShmSize: 1024 ** 2,
      Dns: ["1.1.1.1"],
      ExtraHosts: ["h:1.2.3.4"],
      LogConfig: { Type: "", Config: { "max-size": "1m" } },
      Isolation: "microvm",
    });
  });

  it("puts files in: variables before those of the command line, a seccomp profile as its text", () => {
    const document = documentOf("--env-file", join(directory, "env"), "-e", "A=1", "--security-opt", `seccomp=${join(directory, "seccomp.json")}`, "busybox");
    expect(document.Env).toEqual(["FROM_FILE=1", "A=1"]);
    expect(document.HostConfig?.SecurityOpt).toEqual(['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']);
    expect(() => documentOf("--env-file", "/nonexistent", "busybox")).toThrow(/cannot read "\/nonexistent": there is no such file/);
  });

  it("takes health checks in Docker's units and an empty entrypoint as a reset", () => {
    expect(documentOf("--health-cmd", "true", "--health-interval", "5s", "--health-retries", "2", "busybox").Healthcheck).toEqual({
      Test: ["CMD-SHELL", "true"],
      Interval: 5e9,
      Timeout: 0,
      StartPeriod: 0,
      Retries: 2,
    });
    expect(documentOf("--no-healthcheck", "busybox").Healthcheck).toEqual({ Test: ["NONE"] });
    expect(documentOf("--entrypoint", "", "busybox").Entrypoint).toEqual([""]);
  });

  it("refuses what contradicts itself", () => {
    expect(() => documentOf("--rm", "--restart", "always", "busybox")).toThrow(/--rm and --restart/);
    expect(() => documentOf("--no-healthcheck", "--health-cmd", "x", "busybox")).toThrow(/cannot both/);
    expect(() => documentOf("--isolation", "jail", "busybox")).toThrow(/--isolation takes/);
  });
});
