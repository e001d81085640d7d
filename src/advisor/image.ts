/** What an image says of its needs by itself. What the asker says goes before it, field by field. */

import { Failure } from "../contract/failure.ts";
import type { Architecture, Host } from "./host.ts";
import { parseRequirements, type Requirements } from "./requirements.ts";

/** An image's label with requirements as JSON, of the schema that `--requirements` takes. */
export const REQUIREMENTS_LABEL = "dev.bulkhead.requirements";

/** The part of an image's configuration that says something of its needs. */
export interface ImageFacts {
  readonly architecture: string;
  readonly os: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

const ARCHITECTURES: readonly string[] = ["amd64", "arm64", "riscv64"] satisfies readonly Architecture[];
/** What images of WebAssembly modules call their architecture. */
const MODULES: readonly string[] = ["wasm", "wasm32"];
const INIT = /^(?:\/usr)?\/(?:sbin\/init|lib\/systemd\/systemd|bin\/systemd)$|^(?:systemd|init)$/;

export function requirementsOfImage(image: ImageFacts, host: Host): Requirements {
  const module = image.os.startsWith("wasi") || MODULES.includes(image.architecture);
  const program = [...image.entrypoint, ...image.command][0] ?? "";
  const found: Requirements = {
    artifact: module ? "wasm-module" : "oci-image",
    ...(module || !ARCHITECTURES.includes(image.architecture) || image.architecture === host.architecture
      ? {}
      : { guest: { architecture: image.architecture as Architecture } }),
    ...(INIT.test(program) ? { initSystem: true } : {}),
  };
  const label = image.labels[REQUIREMENTS_LABEL];
  return label === undefined ? found : merge(found, parseLabel(label));
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

function parseLabel(text: string): Requirements {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new Failure("INVALID_SPEC", `the image's label ${REQUIREMENTS_LABEL} is not JSON: ${(cause as Error).message}`, { cause });
  }
  return parseRequirements(document);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
