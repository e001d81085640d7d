import { describe, expect, it } from "vitest";
import { writeHosts, writeResolvConf } from "./name-files.ts";

const plain = { dns: [], search: [], options: [], network: "bridge" };
const write = (files: Record<string, string>, wanted: Partial<Parameters<typeof writeResolvConf>[0]> = {}) =>
  writeResolvConf({ ...plain, ...wanted }, (path) => files[path], ["9.9.9.9"]);

describe("resolv.conf", () => {
  it("is the host's without resolvers that only the host can reach", () => {
    const host = "# made by hand\nnameserver 127.0.0.1\nnameserver 10.0.0.53\nnameserver fe80::1\nsearch example.org\noptions edns0 ndots:2\n";
    expect(write({ "/etc/resolv.conf": host })).toBe("nameserver 10.0.0.53\nsearch example.org\noptions edns0 ndots:2\n");
  });

  it("looks behind systemd-resolved's own address", () => {
    const files = {
      "/etc/resolv.conf": "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n",
      "/run/systemd/resolve/resolv.conf": "nameserver 192.168.1.1\n",
    };
    expect(write(files)).toBe("nameserver 192.168.1.1\nsearch lan\noptions edns0 trust-ad\n");
  });

  it("falls back where nothing is reachable", () => {
    expect(write({ "/etc/resolv.conf": "nameserver 127.0.0.53\n" })).toBe("nameserver 9.9.9.9\n");
    expect(write({})).toBe("nameserver 9.9.9.9\n");
  });

  it("takes what the caller names in place of the host's", () => {
    const files = { "/etc/resolv.conf": "nameserver 10.0.0.53\nsearch example.org\n" };
    expect(write(files, { dns: ["1.1.1.1", "::1"], search: ["."], options: ["rotate"] })).toBe("nameserver 1.1.1.1\nnameserver ::1\noptions rotate\n");
  });

  it("is the host's own file on the host's network", () => {
    expect(write({ "/etc/resolv.conf": "nameserver 127.0.0.53 # ours\n" }, { network: "host" })).toBe("nameserver 127.0.0.53 # ours\n");
  });

  it("takes no second line from outside", () => {
    expect(() => write({}, { dns: ["1.1.1.1\nnameserver 6.6.6.6"] })).toThrow("not the address of a name server");
    expect(() => write({}, { search: ["a\nnameserver 6.6.6.6"] })).toThrow("not a search domain");
  });
});

describe("hosts", () => {
  it("names the workload and what the caller adds", () => {
    const text = writeHosts({
      hostname: "web",
      domainName: "lan",
      address: "172.20.0.2",
      gateway: "172.20.0.1",
      extra: ["db:10.0.0.9", "out:host-gateway", "six:[::2]"],
    });
    expect(text).toContain("127.0.0.1\tlocalhost\n");
    expect(text.endsWith("10.0.0.9\tdb\n172.20.0.1\tout\n::2\tsix\n172.20.0.2\tweb.lan web\n")).toBe(true);
  });

  it("takes no second line from outside", () => {
    expect(() => writeHosts({ hostname: "a", extra: ["x\n6.6.6.6 bank:1.2.3.4"] })).toThrow("not a host name");
    expect(() => writeHosts({ hostname: "a", extra: ["bank"] })).toThrow("name:address");
    expect(() => writeHosts({ hostname: "a", extra: ["x:host-gateway"] })).toThrow("host-gateway has no meaning");
  });
});
