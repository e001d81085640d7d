import { describe, expect, it } from "vitest";
import { parseJson } from "../body.ts";
import { readCreateBody } from "./create-body.ts";
import { createShape } from "./create-shape.ts";

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

describe("parts of a create body", () => {
  const mount = (fields: object) => ({ Mounts: [{ Type: "volume", Source: "data", Target: "/data", ...fields }] });

  it("that would be forgotten are refused by name", () => {
    for (const name of ["NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"])
      expect(refusal(mount({ Type: "bind", Source: "/srv", BindOptions: { [name]: true } }))).toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringContaining(`BindOptions.${name}`) as unknown,
      });
    expect(refusal(mount({ VolumeOptions: { DriverConfig: { Options: { o: "bind" } } } })).message).toContain("volume-opt");
    expect(refusal(mount({ VolumeOptions: { Subpath: "a" } })).message).toContain("volume-subpath");
    const endpoint = (fields: object) => refusal({}, { NetworkingConfig: { EndpointsConfig: { bridge: fields } } });
    expect(endpoint({ Links: ["db"] }).message).toContain("Links");
    expect(endpoint({ DriverOpts: { a: "b" } }).message).toContain("DriverOpts");
    expect(endpoint({ Aliases: ["db"] })).toMatchObject({
      code: "INVALID_SPEC",
      message: "network-scoped aliases are only supported for user-defined networks",
    });
    expect(refusal({ LogConfig: { Type: "json-file", Config: { bogus: "1" } } }).message).toBe('unknown log opt "bogus" for json-file log driver');
  });

  it("that belong to another type of mount are refused in Docker's words", () => {
    expect(refusal(mount({ BindOptions: { Propagation: "rprivate" } })).message).toBe(
      'invalid mount config for type "volume": field BindOptions must not be specified',
    );
    expect(refusal(mount({ Type: "tmpfs" })).message).toContain("field Source");
    expect(refusal(mount({ Type: "bind", Source: "/srv", VolumeOptions: { NoCopy: true } })).message).toContain("field VolumeOptions");
    expect(request(mount({ BindOptions: { Propagation: "" }, TmpfsOptions: null })).mounts).toHaveLength(1);
  });

  it("give a new volume its labels", () => {
    expect(request(mount({ VolumeOptions: { Labels: { a: "b" } } })).mounts[0]).toMatchObject({ labels: { a: "b" } });
  });

  it("that nobody knows are warned about by their place", () => {
    expect(read(mount({ Shadow: true })).warnings).toEqual(['"HostConfig.Mounts.0.Shadow" is not carried out.']);
    expect(read({}, { NetworkingConfig: { EndpointsConfig: { bridge: { Colour: "red" } } } }).warnings).toEqual([
      '"NetworkingConfig.EndpointsConfig.bridge.Colour" is not carried out.',
    ]);
  });

  it("that no host can carry out are refused before anything is made", () => {
    const hosts: readonly object[] = [
      { ShmSize: -1 },
      { ShmSize: 1e19 },
      { Memory: 1e30 },
      { MemorySwap: -2 },
      { NanoCpus: 1 },
      { Ulimits: [{ Name: "nofile", Soft: -2, Hard: -2 }] },
      { Ulimits: [{ Name: "nofile", Soft: 9e18, Hard: 9e18 }] },
      { Dns: ["nonsense"] },
      { Dns: ["1.1.1.1\noptions ndots:9"] },
      { DnsSearch: ["a b"] },
      { DnsOptions: ["x\ny"] },
      { PortBindings: { "80/tcp": [{ HostIp: "nonsense", HostPort: "80" }] } },
      { LogConfig: { Type: "json-file", Config: { "max-size": "0" } } },
      { LogConfig: { Type: "json-file", Config: { "max-size": "-1" } } },
      { LogConfig: { Type: "json-file", Config: { "max-file": "0" } } },
      { LogConfig: { Type: "json-file", Config: { "max-file": "1.5" } } },
      { Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: -1 } }] },
      { Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { Options: [["size", "1,mode=0"]] } }] },
      { Tmpfs: { "/t": "uid=nobody" } },
    ];
    for (const host of hosts) expect(refusal(host), JSON.stringify(host)).toMatchObject({ code: "INVALID_SPEC" });
    expect(refusal({}, { Healthcheck: { Test: ["CMD", "true"], Retries: -1 } }).message).toContain("Retries");
    for (const config of [{ Cmd: ["a\0"] }, { Env: ["A=\0"] }, { WorkingDir: "/a\0" }, { Volumes: { "/a\0": {} } }, { Labels: { "\0": "" } }])
      expect(refusal({}, config).message, JSON.stringify(config)).toContain("zero byte");
  });

  it("nested beyond reason are refused and exhaust nobody's stack", () => {
    const deep = `{"Image":"busybox","A":${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}}`;
    expect(() => parseJson(Buffer.from(deep), createShape)).toThrow("nested deeper");
    expect(request({}, { Labels: { brackets: "[".repeat(100), quotes: '\\"{{'.repeat(100) } }).labels.brackets).toHaveLength(100);
  });

  it("count a log's size in thousands, as Docker does", () => {
    expect(request({ LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } } }).log).toEqual({
      driver: "json-file",
      maxBytes: 10_000_000,
      maxFiles: 3,
    });
  });
});
