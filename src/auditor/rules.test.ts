/** Every rule finds what it is for, lets be what is well, and its fix takes the finding away. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { WORKLOAD_RULES } from "./audit.ts";
import { editCompose, readCompose } from "./documents/compose.ts";
import { BUILD_RULE_TITLES } from "./documents/dockerfile.ts";
import { editCreate } from "./documents/create.ts";
import { audit, type Knowledge, mend } from "./index.ts";

const knowledge: Knowledge = {
  image: (name) => (name === "other:1" ? undefined : { user: name === "wild" ? "" : "1000", healthCheck: name !== "wild" }),
  boundary: (name) => ({ kind: name || "container", emulated: name === "vm" }),
};

/** Nothing is wrong with it. */
const HARDENED = {
  Image: "app:1",
  User: "1000:1000",
  HostConfig: {
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: true,
    Memory: 1 << 26,
    PidsLimit: 64,
    NanoCpus: 5e8,
    Binds: ["data:/data", "/srv/app/files:/files:ro", "/etc/localtime:/etc/localtime:ro"],
    PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }] },
    RestartPolicy: { Name: "on-failure", MaximumRetryCount: 5 },
  },
};

/** What is added to the hardened workload, the rule that must speak, and how grave it is. */
const CASES: readonly (readonly [string, object, string, string])[] = [
  ["the API's socket", { Binds: ["/var/run/docker.sock:/s"] }, "BH001", "critical"],
  ["our own socket, read-only", { Binds: ["/run/bulkhead/bulkhead.sock:/s:ro"] }, "BH001", "critical"],
  ["the socket's directory", { Mounts: [{ Type: "bind", Source: "/run/bulkhead", Target: "/r" }] }, "BH001", "critical"],
  ["privileged", { Privileged: true }, "BH002", "critical"],
  ["SYS_ADMIN", { CapAdd: ["cap_sys_admin"] }, "BH003", "critical"],
  ["ALL", { CapAdd: ["ALL"] }, "BH003", "critical"],
  ["NET_ADMIN", { CapAdd: ["NET_ADMIN"] }, "BH003", "medium"],
  ["an unknown capability", { CapAdd: ["CHECKPOINT_RESTORE"] }, "BH003", "medium"],
  ["the host's processes", { PidMode: "host" }, "BH004", "high"],
  ["the host's network", { NetworkMode: "host" }, "BH005", "high"],
  ["the host's shared memory", { IpcMode: "host" }, "BH006", "medium"],
  ["the host's name", { UTSMode: "host" }, "BH007", "low"],
  ["the host's users", { UsernsMode: "host" }, "BH008", "medium"],
  ["the host's control groups", { CgroupnsMode: "host" }, "BH009", "low"],
  ["the host's root", { Binds: ["/:/host"] }, "BH010", "critical"],
  ["/etc by a detour", { Binds: ["/srv/../etc:/e"] }, "BH010", "critical"],
  ["/etc, read-only", { Binds: ["/etc:/e:ro"] }, "BH010", "high"],
  ["what lies above other workloads' files", { Binds: ["/var/lib:/v:ro"] }, "BH010", "high"],
  ["shared mounts", { Binds: ["/srv/app/files:/files:shared"] }, "BH011", "medium"],
  ["a disk", { Devices: [{ PathOnHost: "/dev/sda" }] }, "BH012", "critical"],
  ["another device", { Devices: [{ PathOnHost: "/dev/fuse" }] }, "BH012", "medium"],
  ["no filter of system calls", { SecurityOpt: ["no-new-privileges", "seccomp=unconfined"] }, "BH013", "high"],
  ["no AppArmor", { SecurityOpt: ["no-new-privileges", "apparmor:unconfined"] }, "BH014", "medium"],
  ["unmasked paths", { MaskedPaths: [], ReadonlyPaths: [] }, "BH015", "medium"],
  ["a kernel setting", { Sysctls: { "kernel.core_pattern": "|/x" } }, "BH016", "medium"],
  ["privileges to be gained", { SecurityOpt: ["no-new-privileges=false"] }, "BH020", "low"],
  ["a writable root", { ReadonlyRootfs: false }, "BH022", "low"],
  ["default capabilities", { CapDrop: ["NET_RAW"] }, "BH023", "low"],
  ["no limit of memory", { Memory: 0 }, "BH030", "medium"],
  ["no limit of processes", { PidsLimit: -1 }, "BH031", "medium"],
  ["no limit of processors", { NanoCpus: 0 }, "BH032", "low"],
  ["restarts for ever", { RestartPolicy: { Name: "always" } }, "BH033", "low"],
  ["a port for everybody", { PortBindings: { "80/tcp": [{ HostPort: "8080" }] } }, "BH040", "medium"],
  ["a privileged port", { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "80" }] } }, "BH041", "info"],
];

const CONFIG_CASES: readonly (readonly [string, object, string, string])[] = [
  ["root", { User: "0" }, "BH021", "medium"],
  ["a secret", { Env: ["DB_PASSWORD=hunter2"] }, "BH024", "high"],
  ["the newest image", { Image: "registry:5000/app" }, "BH025", "low"],
  ["a remote shell", { Cmd: ["/usr/sbin/sshd", "-D"] }, "BH026", "low"],
  ["no health check", { Healthcheck: { Test: ["NONE"] }, Image: "other:1" }, "BH042", "info"],
];

const all = [
  ...CASES.map(([name, host, id, severity]) => [name, { ...HARDENED, HostConfig: { ...HARDENED.HostConfig, ...host } }, id, severity] as const),
  ...CONFIG_CASES.map(([name, config, id, severity]) => [name, { ...HARDENED, ...config }, id, severity] as const),
];
const find = (content: object) => audit({ kind: "create", name: "app", content }, knowledge);

describe("the rules", () => {
  it("have nothing to say of a hardened workload", () => expect(find(HARDENED)).toEqual([]));

  it("take a place of the workload for no path of the host", () => {
    const anonymous = { ...HARDENED, Volumes: { "/etc": {} }, HostConfig: { ...HARDENED.HostConfig, Binds: ["/etc", "/var/run/docker.sock"] } };
    expect(find(anonymous)).toEqual([]);
  });

  it("have each a case, and each id once", () => {
    expect(new Set([...CASES, ...CONFIG_CASES].map(([, , id]) => id))).toEqual(new Set(WORKLOAD_RULES.map(({ id }) => id)));
    expect(new Set(WORKLOAD_RULES.map(({ id }) => id)).size).toBe(WORKLOAD_RULES.length);
  });

  it.each(all)("find %s, and it alone", (_name, content, id, severity) => {
    expect(find(content).map((finding) => [finding.id, finding.severity])).toEqual([[id, severity]]);
  });

  it.each(all)("are content once %s is mended as they say", (_name, content) => {
    const [finding] = find(content);
    const mended = (finding?.edits ?? []).reduce((body, edit) => editCreate(body as never, edit) as never, content);
    expect(find(mended)).toEqual((finding?.edits ?? []).length === 0 ? [finding] : []);
  });

  it("take a secret's place for what it is", () => {
    const names = (env: readonly string[]) => find({ ...HARDENED, Env: env }).length;
    expect(names(["DB_PASSWORD_FILE=/run/secrets/db", "TOKEN", "API_KEY=", "SECRET=/run/secret", "PASSWORD=$PASSWORD", "PATH=/bin", "TOKENS=3x"])).toBe(0);
    expect(names(["TOKEN=abc", "AWS_SECRET_ACCESS_KEY=abc", "githubToken=abc"])).toBe(3);
  });
});

it("docs/audit.md lists every rule with its severity", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/audit.md"), "utf8");
  for (const { id, title, severity } of WORKLOAD_RULES) expect(page).toContain(`| ${id} | ${title} | ${severity} |`);
  for (const [id, title] of Object.entries(BUILD_RULE_TITLES)) expect(page).toContain(`| ${id} | ${title} |`);
});

it("rest on attempts that test/security makes", () => {
  const folder = join(import.meta.dirname, "../../test/security/vectors");
  const known = new Set(
    readdirSync(folder).flatMap((file) => [...readFileSync(join(folder, file), "utf8").matchAll(/^ {4}id: "([a-z-]+)"/gm)].map(([, id]) => id)),
  );
  const findings = all.flatMap(([, content]) => find(content));
  for (const { id, tests } of findings) for (const test of tests) expect(known, id).toContain(test);
  expect(findings.filter(({ tests }) => tests.length > 0).length).toBeGreaterThan(9);
});

describe("a finding's force", () => {
  const behind = (Isolation: string, host: object) => find({ ...HARDENED, HostConfig: { ...HARDENED.HostConfig, ...host, Isolation } })[0];

  it("is lost behind a kernel of its own, and the finding says where and why", () => {
    expect(behind("microvm", { CapAdd: ["SYS_ADMIN"] })).toMatchObject({ severity: "low", baseSeverity: "critical" });
    expect(behind("container", { CapAdd: ["SYS_ADMIN"] })).toMatchObject({
      severity: "critical",
      losesForceOn: expect.arrayContaining([{ boundary: "microvm", because: expect.any(String) }]),
    });
  });
  it("is kept where the machine is emulated: it is no wall", () => {
    expect(behind("vm", { CapAdd: ["SYS_ADMIN"] })).toMatchObject({ severity: "critical", keepsForce: expect.stringContaining("emulated") });
    expect(behind("container", { CapAdd: ["SYS_ADMIN"] })?.keepsForce).toBeUndefined();
  });
  it("is kept for the API's socket, whatever boundary there is", () => {
    expect(behind("microvm", { Binds: ["/var/run/docker.sock:/s"] })).toMatchObject({ severity: "critical", losesForceOn: [] });
  });
});

describe("mending", () => {
  const wild = {
    Image: "wild",
    Env: ["A_TOKEN=abc"],
    HostConfig: {
      Privileged: true,
      NetworkMode: "host",
      Binds: ["/:/host", "data:/d"],
      CapAdd: ["ALL"],
      PidMode: "host",
      Devices: [{ PathOnHost: "/dev/mem" }],
    },
  };
  const document = { kind: "create", name: "wild", content: wild } as const;

  it("takes away what is too dangerous, adds what breaks nothing, and leaves the rest to people", () => {
    const { content, left } = mend(document, knowledge, { strict: false, accepted: {} });
    expect(content["HostConfig"]).toMatchObject({
      Privileged: false,
      NetworkMode: "bridge",
      PidMode: "",
      Binds: ["data:/d"],
      Devices: [],
      SecurityOpt: ["no-new-privileges"],
      PidsLimit: 256,
    });
    expect(content["HostConfig"]).not.toHaveProperty("ReadonlyRootfs");
    // ALL is found only once privileged no longer hides it.
    expect(left.filter(({ severity }) => severity === "critical")).toEqual([]);
  });

  it("twice finds no more to mend than a secret and the image's name where everything is asked for", () => {
    const once = mend(document, knowledge, { strict: true, accepted: {} });
    const twice = mend({ ...document, content: once.content }, knowledge, { strict: true, accepted: {} });
    expect(twice.left.map(({ id }) => id).toSorted()).toEqual(["BH024", "BH025", "BH042"]);
  });

  it("leaves be what was accepted with a reason", () => {
    const { content, left } = mend(document, knowledge, { strict: true, accepted: { BH002: "it is the firewall's own" } });
    expect(content["HostConfig"]).toMatchObject({ Privileged: true });
    expect(left.find(({ id }) => id === "BH002")).toMatchObject({ accepted: "it is the firewall's own" });
  });
});

describe("a compose file", () => {
  const file = {
    services: {
      web: {
        image: "app:1",
        privileged: true,
        ports: ["80:8080", "127.0.0.1:9:9/udp"],
        volumes: ["./data:/data", "/etc:/host-etc"],
        security_opt: ["seccomp:unconfined"],
      },
      quiet: {
        image: "app:1",
        user: "1000",
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        deploy: { resources: { limits: { memory: "64M", cpus: "0.5", pids: 64 } } },
        labels: ["dev.bulkhead.audit.accept.BH033=it is the one that must never stop"],
        restart: "always",
      },
    },
  };

  it("is read service by service, in short and long forms", () => {
    const findings = audit({ kind: "compose", name: "compose.yaml", content: file }, knowledge);
    expect(findings.filter(({ subject }) => subject === "web").map(({ id }) => id)).toEqual(
      expect.arrayContaining(["BH002", "BH010", "BH013", "BH040", "BH030"]),
    );
    expect(findings.filter(({ subject }) => subject === "quiet")).toMatchObject([{ id: "BH033", accepted: "it is the one that must never stop" }]);
  });

  it("is content once mended in full", () => {
    const { content, left } = mend({ kind: "compose", name: "c", content: file }, knowledge, { strict: true, accepted: {} });
    expect(left.filter(({ accepted }) => accepted === undefined).map(({ id }) => id)).toEqual(["BH041", "BH041"]);
    expect(content).toMatchObject({
      services: { web: { ports: ["127.0.0.1:80:8080", "127.0.0.1:9:9/udp"], volumes: ["./data:/data"] } },
    });
  });

  it("has each edit that a create has", () => {
    for (const { edits, subject } of audit({ kind: "compose", name: "c", content: file }, knowledge))
      for (const edit of edits) expect(readCompose(editCompose(file, subject, edit))).toHaveLength(2);
  });

  it("without services is refused", () => expect(() => audit({ kind: "compose", name: "c", content: {} }, knowledge)).toThrow(/no services/));
});
