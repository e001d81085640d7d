/** Whatever a client sends to create, update or exec, it is answered with what it did wrong, or carried out: never with a fault of ours. */

import type { TSchema } from "@sinclair/typebox";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startFakeDaemon, type FakeDaemon } from "../testkit/fake-daemon.ts";
import { ask, textOf } from "../testkit/raw-client.ts";
import { createTypes, hostConfigTypes, updateFields } from "./create-shape.ts";

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.close());

const NUMBERS = [0, 1, -1, -2, 2, 1e3, 1e6, 1e9, 2 ** 31, 2 ** 53, 1e19, -1e11, 1e30, 0.5, 100, 262_144, 67_108_864];
const TEXTS = [
  "web",
  "0-1",
  "1000:1000",
  "NET_ADMIN",
  "",
  "host",
  "none",
  "private",
  "container:x",
  "/",
  "/dev",
  "/proc",
  "/proc/1/root",
  "/a/../b",
  "a:b:c:d",
  "/tmp:/x",
  "vol:/y:ro",
  "x=y",
  "=",
  "80/tcp",
  "\0",
  "\n",
];
const STRANGE = [
  ...TEXTS,
  "size=1g",
  "always",
  "on-failure",
  "x".repeat(5000),
  "/".concat("y".repeat(300)),
  "💥",
  "SIGKILL",
  "nofile",
  "json-file",
  "max-size",
  "10m",
  "__proto__",
];

const number = fc.constantFrom(...NUMBERS);
const text = fc.oneof(fc.constantFrom(...STRANGE), fc.string({ unit: "binary", maxLength: 12 }));
/** Of the right type more often than not, so that what lies behind the shape is reached. */
const texts = fc.array(text, { maxLength: 3 });
const map = fc.dictionary(text, text, { maxKeys: 2 });
const mount = fc.record(
  {
    Type: fc.constantFrom("bind", "volume", "tmpfs", "npipe", ""),
    Source: fc.constantFrom("/tmp", "data", "", "/nowhere", "x".repeat(300)),
    Target: text,
    ReadOnly: fc.boolean(),
    TmpfsOptions: fc.record({ SizeBytes: number, Mode: number, Options: fc.array(texts, { maxLength: 2 }) }, { requiredKeys: [] }),
    VolumeOptions: fc.record({ NoCopy: fc.boolean(), Labels: map, Subpath: text }, { requiredKeys: [] }),
    BindOptions: fc.record({ Propagation: text, CreateMountpoint: fc.boolean() }, { requiredKeys: [] }),
  },
  { requiredKeys: ["Type", "Target"] },
);
const special: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  Mounts: fc.array(mount, { maxLength: 2 }),
  Binds: texts,
  Ulimits: fc.array(fc.record({ Name: fc.constantFrom("nofile", "core", "bogus"), Soft: number, Hard: number }), { maxLength: 2 }),
  PortBindings: fc.dictionary(fc.constantFrom("80/tcp", "53/udp", "0/tcp", "x"), fc.array(fc.record({ HostIp: text, HostPort: text }), { maxLength: 2 }), {
    maxKeys: 2,
  }),
  RestartPolicy: fc.record({ Name: fc.constantFrom("no", "always", "on-failure", "bogus", ""), MaximumRetryCount: number }),
  LogConfig: fc.record({ Type: fc.constantFrom("json-file", "none", "syslog"), Config: map }),
  Devices: fc.array(fc.record({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text }), { maxLength: 2 }),
  Healthcheck: fc.record({ Test: texts, Interval: number, Timeout: number, Retries: number }),
  NetworkingConfig: fc.record({
    EndpointsConfig: fc.dictionary(fc.constantFrom("bridge", "host", "mine"), fc.record({ Aliases: texts, Links: texts }, { requiredKeys: [] }), {
      maxKeys: 2,
    }),
  }),
  Cmd: fc.oneof(texts, fc.constant(["true"])),
  Runtime: fc.constantFrom("", "runc", "container", "microvm", "bogus"),
  Isolation: fc.constantFrom("", "default", "bogus"),
};
const anything = fc.oneof(number, text, fc.boolean(), fc.constant(null), texts, map, fc.anything({ maxDepth: 2 }));

interface Parts {
  readonly anyOf?: readonly object[];
  readonly type?: string;
  readonly items?: object;
  readonly properties?: Readonly<Record<string, object>>;
  readonly patternProperties?: Readonly<Record<string, object>>;
}

/** What the shape lets through, nested as it says. */
function typed(schema: object): fc.Arbitrary<unknown> {
  const { anyOf, type, items, properties, patternProperties } = schema as Parts;
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(typed));
  if (type === "string") return text;
  if (type === "boolean") return fc.boolean();
  if (type === "integer") return number;
  if (type === "array") return fc.array(typed(items ?? {}), { maxLength: 2 });
  if (patternProperties !== undefined) return fc.dictionary(text, typed(Object.values(patternProperties)[0] ?? {}), { maxKeys: 2 });
  if (properties === undefined) return fc.constant(type === "null" ? null : {});
  return fc.record(Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, typed(part)])), { requiredKeys: [] });
}

const fieldsOf = (types: Readonly<Record<string, TSchema>>) =>
  fc.record(
    Object.fromEntries(
      Object.entries(types).map(([name, schema]) => {
        const plausible = special[name];
        return [
          name,
          fc.oneof({ weight: 6, arbitrary: plausible ?? typed(schema) }, { weight: 3, arbitrary: typed(schema) }, { weight: 1, arbitrary: anything }),
        ];
      }),
    ),
    { requiredKeys: [], noNullPrototype: true },
  );
const hostConfig = fieldsOf(hostConfigTypes);
const few = <T extends object>(whole: fc.Arbitrary<T>) =>
  fc.tuple(whole, fc.array(fc.nat(), { minLength: 1, maxLength: 4 })).map(([fields, picks]) => {
    const entries = Object.entries(fields);
    return Object.fromEntries(picks.flatMap((pick) => (entries.length === 0 ? [] : [entries[pick % entries.length] as [string, unknown]])));
  });
const { HostConfig: _host, Image: _image, ...rest } = createTypes;
const config = few(fieldsOf(rest));

async function createAndStart(body: object): Promise<readonly number[]> {
  const made = await ask(daemon.socket, "POST", "/containers/create", { body });
  if (made.status !== 201) return [made.status];
  const id = textOf(made.json.Id);
  const seen = await ask(daemon.socket, "GET", `/containers/${id}/json`);
  const started = await ask(daemon.socket, "POST", `/containers/${id}/start`);
  const gone = await ask(daemon.socket, "DELETE", `/containers/${id}?force=1&v=1`);
  return [seen.status, started.status, gone.status === 404 ? 204 : gone.status];
}

/** 501 and 503 are honest answers too: another boundary, another option. */
const FAULTS = new Set([500, 502, 504, 507]);
const sound = (statuses: readonly number[]) => statuses.every((status) => status < 499 || !FAULTS.has(status));

it("creates and starts, or refuses, every body", async () => {
  await fc.assert(
    fc.asyncProperty(config, few(hostConfig), async (fields, host) => {
      const statuses = await createAndStart({ Image: "busybox", Cmd: ["true"], ...fields, HostConfig: host });
      expect(sound(statuses), statuses.join(", ")).toBe(true);
    }),
    { numRuns: 300, seed: 20_260_101 },
  );
  expect(daemon.host.snapshot()).toEqual({ standing: [], places: [] });
}, 60_000);

it("updates, runs an exec, or refuses, with every body", async () => {
  const { json } = await ask(daemon.socket, "POST", "/containers/create?name=web", { body: { Image: "busybox", Cmd: ["sleep", "1000"] } });
  await ask(daemon.socket, "POST", `/containers/${textOf(json.Id)}/start`);
  const { Cmd, Env, WorkingDir, User, Tty } = rest;
  const exec = few(fieldsOf({ Cmd, Env, WorkingDir, User, Tty, Privileged: Tty, DetachKeys: User } as Record<string, TSchema>));
  await fc.assert(
    fc.asyncProperty(few(fieldsOf(updateFields)), exec, async (change, asked) => {
      const updated = await ask(daemon.socket, "POST", "/containers/web/update", { body: change });
      const made = await ask(daemon.socket, "POST", "/containers/web/exec", { body: { Cmd: ["true"], ...asked } });
      const statuses = [updated.status, made.status];
      if (made.status === 201) statuses.push((await ask(daemon.socket, "POST", `/exec/${textOf(made.json.Id)}/start`, { body: { Detach: true } })).status);
      expect(sound(statuses), statuses.join(", ")).toBe(true);
    }),
    { numRuns: 200, seed: 20_260_102 },
  );
}, 60_000);
