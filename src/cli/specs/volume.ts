/** `-v`, `--mount` and `--tmpfs`. */

import { resolve } from "node:path";
import type { MountDocument } from "../../../sdk/src/index.ts";
import { UsageError } from "../command.ts";
import { parseBytes } from "../format/quantity.ts";

const MODES = new Set(["ro", "rw", "z", "Z", "nocopy", "private", "rprivate", "slave", "rslave", "shared", "rshared", "cached", "delegated", "consistent"]);

/** `-v`: a bind as the API takes it (`source:target:options`), or an anonymous volume's target. */
export function parseVolume(text: string): { readonly bind: string } | { readonly anonymous: string } {
  const parts = text.split(":");
  if (parts.length > 3 || parts.some((part) => part === "")) throw badVolume(text);
  const [source = "", target, options] = parts;
  if (target === undefined) {
    if (!source.startsWith("/")) throw badVolume(text, "a volume's place in the workload is an absolute path");
    return { anonymous: source };
  }
  if (!target.startsWith("/")) throw badVolume(text, `${JSON.stringify(target)} is not an absolute path`);
  for (const option of options?.split(",") ?? []) if (!MODES.has(option)) throw badVolume(text, `there is no option ${JSON.stringify(option)}`);
  const isPath = source.startsWith("/") || source.startsWith("./") || source.startsWith("../") || source === "." || source === ".." || source.startsWith("~");
  if (!isPath && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(source)) throw badVolume(text, `${JSON.stringify(source)} is neither a path nor a volume's name`);
  const from = isPath ? resolve(source) : source;
  return { bind: options === undefined ? `${from}:${target}` : `${from}:${target}:${options}` };
}

/** `--mount type=bind,source=/a,target=/b,readonly`. */
export function parseMount(text: string): MountDocument {
  const fields = new Map<string, string>();
  for (const part of splitCommas(text)) {
    const equals = part.indexOf("=");
    const key = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    fields.set(ALIASES[key] ?? key, equals < 0 ? "true" : part.slice(equals + 1));
  }
  const unknown = [...fields.keys()].find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw badMount(text, `there is no key ${JSON.stringify(unknown)}`);
  const type = fields.get("type") ?? "volume";
  if (type !== "bind" && type !== "volume" && type !== "tmpfs") throw badMount(text, `there is no type ${JSON.stringify(type)}`);
  const target = fields.get("target");
  if (target === undefined || !target.startsWith("/")) throw badMount(text, "target must be an absolute path");
  const source = fields.get("source");
  if (type === "bind" && source === undefined) throw badMount(text, "a bind needs a source");
  if (type === "tmpfs" && source !== undefined) throw badMount(text, "a tmpfs has no source");
  return {
    Type: type,
    Target: target,
    ...(source === undefined ? {} : { Source: type === "bind" ? resolve(source) : source }),
    ReadOnly: isOn(fields.get("readonly")),
    ...options(type, fields, text),
  };
}

const ALIASES: Readonly<Record<string, string>> = { src: "source", dst: "target", destination: "target", ro: "readonly" };
const KNOWN = new Set([
  "type",
  "source",
  "target",
  "readonly",
  "bind-propagation",
  "bind-create-src",
  "volume-nocopy",
  "volume-label",
  "tmpfs-size",
  "tmpfs-mode",
  "consistency",
]);

function options(type: MountDocument["Type"], fields: ReadonlyMap<string, string>, text: string): Partial<MountDocument> {
  const foreign = [...fields.keys()].find((key) => /^(bind|volume|tmpfs)-/.test(key) && !key.startsWith(`${type}-`));
  if (foreign !== undefined) throw badMount(text, `${foreign} is not for ${type}`);
  if (type === "bind") {
    const propagation = fields.get("bind-propagation");
    const creates = fields.has("bind-create-src") ? { CreateMountpoint: isOn(fields.get("bind-create-src")) } : {};
    return propagation === undefined && !fields.has("bind-create-src")
      ? {}
      : { BindOptions: { ...(propagation === undefined ? {} : { Propagation: propagation }), ...creates } };
  }
  if (type === "volume") return fields.has("volume-nocopy") ? { VolumeOptions: { NoCopy: isOn(fields.get("volume-nocopy")) } } : {};
  const size = fields.get("tmpfs-size");
  const mode = fields.get("tmpfs-mode");
  if (mode !== undefined && !/^[0-7]{3,4}$/.test(mode)) throw badMount(text, "tmpfs-mode is octal, such as 1777");
  if (size === undefined && mode === undefined) return {};
  return {
    TmpfsOptions: {
      ...(size === undefined ? {} : { SizeBytes: parseBytes(size, "tmpfs-size") }),
      ...(mode === undefined ? {} : { Mode: Number.parseInt(mode, 8) }),
    },
  };
}

/** `--tmpfs /run:size=64m`: target and options. */
export function parseTmpfs(text: string): readonly [target: string, options: string] {
  const colon = text.indexOf(":");
  const target = colon < 0 ? text : text.slice(0, colon);
  if (!target.startsWith("/")) throw new UsageError(`cannot mount a tmpfs at ${JSON.stringify(target)}: it is not an absolute path`);
  return [target, colon < 0 ? "" : text.slice(colon + 1)];
}

function isOn(text: string | undefined): boolean {
  return text !== undefined && text !== "false" && text !== "0";
}

/** A field in double quotes may hold commas. */
function splitCommas(text: string): string[] {
  const parts = text.match(/(?:"[^"]*"|[^,"])+/g) ?? [];
  return parts.map((part) => part.replaceAll('"', ""));
}

function badVolume(text: string, why = "it has too many parts or an empty one"): UsageError {
  return new UsageError(`cannot use the volume ${JSON.stringify(text)}: ${why}`, "write SOURCE:TARGET[:ro], as in -v /srv/www:/www:ro");
}

function badMount(text: string, why: string): UsageError {
  return new UsageError(`cannot use the mount ${JSON.stringify(text)}: ${why}`, "write type=bind|volume|tmpfs,source=…,target=/…[,readonly]");
}
