/** What an image says of its needs by itself. What the asker says goes before it, field by field. */

import { Failure } from "../contract/failure.ts";
import type { Architecture, Host } from "./host.ts";
import { isRecord } from "./json-schema.ts";
import { parseRequirements, type Requirements } from "./requirements.ts";

/** An image's label with requirements as JSON, of the schema that `--requirements` takes. */
const REQUIREMENTS_LABEL = "dev.bulkhead.requirements";

/** The part of an image's configuration that says something of its needs. */
export interface ImageFacts {
  readonly architecture: string;
  readonly os: string;
  /** It is a whole disk. */
  readonly disk?: boolean;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** As a Dockerfile has it; empty is root. */
  readonly user: string;
  /** `80/tcp`. */
  readonly exposedPorts: readonly string[];
}

const ARCHITECTURES: readonly string[] = ["amd64", "arm64", "riscv64"] satisfies readonly Architecture[];
/** What images of WebAssembly modules call their architecture. */
const MODULES: readonly string[] = ["wasm", "wasm32"];
const INIT = /^(?:\/usr)?\/(?:sbin\/init|lib\/systemd\/systemd|bin\/systemd)$|^(?:systemd|init)$/;

export function requirementsOfImage(image: ImageFacts, host: Host): Requirements {
  const module = image.os.startsWith("wasi") || MODULES.includes(image.architecture);
  const found: Requirements = {
    artifact: module ? "wasm-module" : image.disk === true ? "disk-image" : "oci-image",
    ...(module || !ARCHITECTURES.includes(image.architecture) || image.architecture === host.architecture
      ? {}
      : { guest: { architecture: image.architecture as Architecture } }),
    ...(startsInitSystem(image) ? { initSystem: true } : {}),
  };
  return merge(found, requirementsOfLabel(image.labels, "the image's label"));
}

export function startsInitSystem({ entrypoint, command }: Pick<ImageFacts, "entrypoint" | "command">): boolean {
  return INIT.test([...entrypoint, ...command][0] ?? "");
}

/** The asker's word goes before the image's; objects are merged field by field. */
export function merge(base: Requirements, over: Requirements): Requirements {
  const merged: Record<string, unknown> = { ...base };
  for (const [field, value] of Object.entries(over)) {
    const known = merged[field];
    merged[field] = isRecord(known) && isRecord(value) ? { ...known, ...value } : value;
  }
  return merged as Requirements;
}

/** What the label among these says; nothing where there is none. Rejects INVALID_SPEC, calling it as it is told to. */
export function requirementsOfLabel(labels: Readonly<Record<string, string>>, called: string): Requirements {
  const label = Object.hasOwn(labels, REQUIREMENTS_LABEL) ? labels[REQUIREMENTS_LABEL] : undefined;
  if (label === undefined) return {};
  let document: unknown;
  try {
    document = JSON.parse(label);
  } catch (cause) {
    throw new Failure("INVALID_SPEC", `${called} ${REQUIREMENTS_LABEL} is not JSON: ${(cause as Error).message}`, {
      remedy: "write it as docs/schema/requirements.json says, or leave it out",
      cause,
    });
  }
  return parseRequirements(document);
}
