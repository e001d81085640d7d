/** Platforms: `linux/arm64/v8`, and which of an index's images suits this host. */

import { arch } from "node:process";
import { Failure } from "../contract/failure.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const ALIASES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  x64: "amd64",
  aarch64: "arm64",
  armhf: "arm",
  i386: "386",
  ia32: "386",
};

export const HOST_PLATFORM: Platform = { os: "linux", architecture: ALIASES[arch] ?? arch };

/** `os/architecture[/variant]`, or one of the first two alone. Rejects INVALID_SPEC. */
export function parsePlatform(text: string | undefined): Platform {
  if (text === undefined || text === "") return HOST_PLATFORM;
  const parts = text.toLowerCase().split("/");
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new Failure("INVALID_SPEC", `${JSON.stringify(text)} is not a platform`, { remedy: "write it as linux/amd64 or linux/arm64/v8" });
  }
  const [first, second, variant] = parts;
  if (second === undefined) return first === "linux" ? HOST_PLATFORM : { os: "linux", architecture: ALIASES[first ?? ""] ?? first ?? "" };
  return { os: first ?? "", architecture: ALIASES[second] ?? second, ...(variant === undefined ? {} : { variant }) };
}

export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
}

/** Platforms that no processor has: what runs there is WebAssembly. In the order of preference. */
const MODULE_SYSTEMS = ["wasip2", "wasip1", "wasi"];

export function isModulePlatform({ os, architecture }: Platform): boolean {
  return architecture.startsWith("wasm") || MODULE_SYSTEMS.includes(os);
}

/** The best of the candidates for this host: one for its own processor, else a module, which any processor runs. */
export function selectForHost<T extends { readonly platform?: Platform }>(candidates: readonly T[]): T | undefined {
  const rank = ({ platform }: T) => MODULE_SYSTEMS.indexOf(platform?.os ?? "");
  const modules = candidates.filter(({ platform }) => platform !== undefined && isModulePlatform(platform));
  return selectPlatform(candidates, HOST_PLATFORM) ?? modules.toSorted((a, b) => rank(a) - rank(b))[0];
}

/** arm64 means v8 where nothing is said, and arm means v7. */
function variantOf({ architecture, variant }: Platform): string {
  return variant ?? (architecture === "arm64" ? "v8" : architecture === "arm" ? "v7" : "");
}

/** The best of the candidates, or undefined: the exact variant, then, on arm, the nearest lower one. */
export function selectPlatform<T extends { readonly platform?: Platform }>(candidates: readonly T[], wanted: Platform): T | undefined {
  const suiting = candidates.filter(({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture);
  const variant = variantOf(wanted);
  const exact = suiting.find(({ platform }) => platform !== undefined && variantOf(platform) === variant);
  if (exact !== undefined || !wanted.architecture.startsWith("arm")) return exact ?? (wanted.variant === undefined ? suiting[0] : undefined);
  const lower = suiting.filter(({ platform }) => platform !== undefined && variantOf(platform) < variant);
  return lower.toSorted((a, b) => variantOf(b.platform as Platform).localeCompare(variantOf(a.platform as Platform)))[0];
}
