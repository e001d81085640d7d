/** The body of `POST /containers/create`: what is checked before anybody reads it. Null is absent, as Go's clients send it. */

import { Type, type Static, type TSchema } from "@sinclair/typebox";
import { shape } from "../body.ts";
import { findUnknown } from "./unknown-fields.ts";

const opt = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const text = opt(Type.String());
const flag = opt(Type.Boolean());
/** What JavaScript counts exactly: 9 PB, or 104 days of nanoseconds. */
const Whole = Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER });
const whole = opt(Whole);
const texts = opt(Type.Array(Type.String()));
const textMap = opt(Type.Record(Type.String(), Type.String()));
const emptyObjects = opt(Type.Record(Type.String(), Type.Unknown()));
/** Old clients send a command as one string. */
const words = opt(Type.Union([Type.Array(Type.String()), Type.String()]));

const Mount = Type.Object({
  Type: opt(Type.String()),
  Source: text,
  Target: text,
  ReadOnly: flag,
  Consistency: text,
  BindOptions: opt(Type.Object({ Propagation: text, NonRecursive: flag, CreateMountpoint: flag, ReadOnlyNonRecursive: flag, ReadOnlyForceRecursive: flag })),
  VolumeOptions: opt(Type.Object({ NoCopy: flag, Labels: textMap, Subpath: text, DriverConfig: opt(Type.Object({ Name: text, Options: textMap })) })),
  TmpfsOptions: opt(Type.Object({ SizeBytes: whole, Mode: whole, Options: opt(Type.Array(Type.Array(Type.String()))) })),
});

const Binding = Type.Object({ HostIp: text, HostPort: text });

const HostConfig = Type.Object({
  Binds: texts,
  Mounts: opt(Type.Array(Mount)),
  Tmpfs: textMap,
  VolumesFrom: texts,
  VolumeDriver: text,
  NetworkMode: text,
  PortBindings: opt(Type.Record(Type.String(), Type.Union([Type.Array(Binding), Type.Null()]))),
  PublishAllPorts: flag,
  RestartPolicy: opt(Type.Object({ Name: text, MaximumRetryCount: whole })),
  AutoRemove: flag,
  CapAdd: texts,
  CapDrop: texts,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  PidMode: text,
  UTSMode: text,
  UsernsMode: text,
  CgroupnsMode: text,
  Privileged: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  ShmSize: whole,
  Sysctls: textMap,
  Runtime: text,
  Isolation: text,
  Cold: flag,
  Memory: whole,
  MemorySwap: whole,
  MemoryReservation: whole,
  MemorySwappiness: whole,
  NanoCpus: whole,
  CpuPeriod: whole,
  CpuQuota: whole,
  CpuShares: whole,
  CpusetCpus: text,
  PidsLimit: whole,
  Ulimits: opt(Type.Array(Type.Object({ Name: Type.String(), Soft: Whole, Hard: Whole }))),
  OomScoreAdj: whole,
  Devices: opt(Type.Array(Type.Object({ PathOnHost: Type.String(), PathInContainer: text, CgroupPermissions: text }))),
  Init: flag,
  LogConfig: opt(Type.Object({ Type: text, Config: textMap })),
  MaskedPaths: texts,
  ReadonlyPaths: texts,
  StorageOpt: textMap,
  Annotations: textMap,
  ConsoleSize: opt(Type.Array(Type.Integer({ minimum: 0, maximum: 65_535 }), { maxItems: 2 })),
});

const Endpoint = Type.Object({
  IPAMConfig: opt(Type.Record(Type.String(), Type.Unknown())),
  Aliases: texts,
  DNSNames: texts,
  Links: texts,
  DriverOpts: textMap,
  GwPriority: whole,
  MacAddress: text,
});

const CreateBody = Type.Object({
  Image: text,
  Cmd: words,
  Entrypoint: words,
  Env: texts,
  WorkingDir: text,
  User: text,
  Hostname: text,
  Domainname: text,
  Labels: textMap,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: emptyObjects,
  Volumes: emptyObjects,
  StopSignal: text,
  StopTimeout: whole,
  NetworkDisabled: flag,
  MacAddress: text,
  Healthcheck: opt(Type.Object({ Test: texts, Interval: whole, Timeout: whole, StartPeriod: whole, StartInterval: whole, Retries: whole })),
  HostConfig: opt(HostConfig),
  NetworkingConfig: opt(Type.Object({ EndpointsConfig: opt(Type.Record(Type.String(), Type.Union([Endpoint, Type.Null()]))) })),
});

export type CreateBody = Static<typeof CreateBody>;
export type HostConfigBody = Static<typeof HostConfig>;
export type MountBody = Static<typeof Mount>;

export const createShape = shape(CreateBody);
/** Fields with their types, for tests that send anything. */
export const createTypes: Readonly<Record<string, TSchema>> = CreateBody.properties;
export const hostConfigTypes: Readonly<Record<string, TSchema>> = HostConfig.properties;

/** What stands deeper than Config and HostConfig and is read by nobody. */
export function findUnknownParts(body: CreateBody): readonly string[] {
  const { HostConfig: host, ...config } = body;
  return [...findUnknown(CreateBody, config, 1), ...findUnknown(HostConfig, host ?? {}, 1, "HostConfig")].filter((place) => place.split(".").length > 1);
}

/** Every field that is read; others are reported. */
export const createFields: ReadonlySet<string> = new Set(Object.keys(CreateBody.properties));
export const hostConfigFields: ReadonlySet<string> = new Set(Object.keys(HostConfig.properties));

const { RestartPolicy, Memory, MemorySwap, MemoryReservation, NanoCpus, CpuPeriod, CpuQuota, CpuShares, CpusetCpus, PidsLimit } = HostConfig.properties;

/** The fields that an update may change; the others belong to a create alone. */
export const updateFields = {
  RestartPolicy,
  Memory,
  MemorySwap,
  MemoryReservation,
  NanoCpus,
  CpuPeriod,
  CpuQuota,
  CpuShares,
  CpusetCpus,
  PidsLimit,
};
