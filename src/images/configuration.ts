/** The image configuration (OCI image specification, "Image Configuration"): from its document to what a run needs. */

import { Failure } from "../contract/failure.ts";
import { parseDigest } from "./digest.ts";
import { asFields, asList, asSet, asStrings, type Fields, optionalNumber, optionalString } from "./document.ts";
import { DISK_COMMAND, isDiskConfiguration } from "./disk-artifact.ts";
import type { ImageConfiguration } from "./index.ts";
import { isModuleConfiguration, MODULE_COMMAND } from "./wasm-artifact.ts";

export interface HistoryEntry {
  readonly created?: string;
  readonly createdBy?: string;
  readonly comment?: string;
  readonly emptyLayer: boolean;
}

export interface ConfigurationDocument {
  readonly configuration: ImageConfiguration;
  readonly createdAt: string;
  readonly diffIds: readonly string[];
  readonly history: readonly HistoryEntry[];
}

const NEVER = "0001-01-01T00:00:00Z";

/** Rejects CORRUPT_DATA where a field is not what the specification says, and UNSUPPORTED where it is not a container's. */
export function readConfiguration(document: Fields): ConfigurationDocument {
  if (isModuleConfiguration(document)) return readModuleConfiguration(document);
  const disk = isDiskConfiguration(document);
  const rootfs = asFields(document.rootfs ?? {}, "the configuration's rootfs");
  if (rootfs.type !== "layers" && !disk) {
    throw new Failure("UNSUPPORTED", `the image's root filesystem is ${JSON.stringify(rootfs.type)?.slice(0, 60)}, not of layers`, {
      remedy: "rebuild the image with a current builder",
    });
  }
  return {
    configuration: disk ? { ...readRunPart(document), disk: true, entrypoint: [DISK_COMMAND], command: [] } : readRunPart(document),
    createdAt: optionalString(document.created, "created") ?? NEVER,
    diffIds: asList(rootfs.diff_ids, "diff_ids").map((id) => parseDigest(id, "a layer of the configuration")),
    history: asList(document.history, "history").map(readHistory),
  };
}

/** CNCF's artifact layout: the configuration says of the module what it is, and nothing of how to run it. */
function readModuleConfiguration(document: Fields): ConfigurationDocument {
  const digests = asList(document.layerDigests, "layerDigests").map((id) => parseDigest(id, "a layer of the configuration"));
  return {
    configuration: { ...readRunPart(document), entrypoint: [MODULE_COMMAND] },
    createdAt: optionalString(document.created, "created") ?? NEVER,
    diffIds: digests,
    history: [],
  };
}

function readRunPart(document: Fields): ImageConfiguration {
  const config = asFields(document.config ?? {}, "the configuration's config");
  const variant = optionalString(document.variant, "variant");
  const stopSignal = optionalString(config.StopSignal, "StopSignal");
  const healthCheck = readHealthCheck(config.Healthcheck);
  return {
    architecture: optionalString(document.architecture, "architecture") ?? "",
    os: optionalString(document.os, "os") ?? "linux",
    ...(variant === undefined ? {} : { variant }),
    entrypoint: asStrings(config.Entrypoint, "Entrypoint"),
    command: asStrings(config.Cmd, "Cmd"),
    environment: asStrings(config.Env, "Env"),
    workingDirectory: optionalString(config.WorkingDir, "WorkingDir") ?? "",
    user: optionalString(config.User, "User") ?? "",
    labels: readLabels(config.Labels),
    exposedPorts: asSet(config.ExposedPorts, "ExposedPorts"),
    volumes: asSet(config.Volumes, "Volumes"),
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(healthCheck === undefined ? {} : { healthCheck }),
  };
}

function readLabels(value: unknown): Readonly<Record<string, string>> {
  const labels = Object.entries(asFields(value ?? {}, "Labels"));
  if (labels.some(([, text]) => typeof text !== "string")) throw new Failure("CORRUPT_DATA", "the configuration's labels are not all strings");
  return Object.fromEntries(labels) as Record<string, string>;
}

function readHealthCheck(value: unknown): ImageConfiguration["healthCheck"] {
  if (value === undefined || value === null) return undefined;
  const fields = asFields(value, "Healthcheck");
  const intervalNs = optionalNumber(fields.Interval, "Interval");
  const timeoutNs = optionalNumber(fields.Timeout, "Timeout");
  const startPeriodNs = optionalNumber(fields.StartPeriod, "StartPeriod");
  const retries = optionalNumber(fields.Retries, "Retries");
  return {
    test: asStrings(fields.Test, "Test"),
    ...(intervalNs === undefined ? {} : { intervalNs }),
    ...(timeoutNs === undefined ? {} : { timeoutNs }),
    ...(startPeriodNs === undefined ? {} : { startPeriodNs }),
    ...(retries === undefined ? {} : { retries }),
  };
}

function readHistory(value: unknown): HistoryEntry {
  const fields = asFields(value, "an entry of the history");
  const created = optionalString(fields.created, "created");
  const createdBy = optionalString(fields.created_by, "created_by");
  const comment = optionalString(fields.comment, "comment");
  return {
    ...(created === undefined ? {} : { created }),
    ...(createdBy === undefined ? {} : { createdBy }),
    ...(comment === undefined ? {} : { comment }),
    emptyLayer: fields.empty_layer === true,
  };
}
