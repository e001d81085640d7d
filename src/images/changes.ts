/** Changes to an image's configuration, in the words of a Dockerfile: what `import --change` (and `commit --change`) takes. */

import { Failure } from "../contract/failure.ts";

/** The `config` part of a configuration document, as it is written. */
export interface ConfigDocument {
  Env?: string[];
  Cmd?: string[];
  Entrypoint?: string[];
  WorkingDir?: string;
  User?: string;
  Labels?: Record<string, string>;
  ExposedPorts?: Record<string, Record<string, never>>;
  Volumes?: Record<string, Record<string, never>>;
  StopSignal?: string;
}

type Apply = (config: ConfigDocument, rest: string) => void;

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
  CMD: (config, rest) => void (config.Cmd = command(rest)),
  ENTRYPOINT: (config, rest) => void (config.Entrypoint = command(rest)),
  ENV: (config, rest) => {
    for (const [name, value] of pairs(rest)) config.Env = [...(config.Env ?? []).filter((line) => !line.startsWith(`${name}=`)), `${name}=${value}`];
  },
  LABEL: (config, rest) => void (config.Labels = { ...config.Labels, ...Object.fromEntries(pairs(rest)) }),
  WORKDIR: (config, rest) => void (config.WorkingDir = rest.startsWith("/") ? rest : `${(config.WorkingDir ?? "").replace(/\/$/, "")}/${rest}`),
  USER: (config, rest) => void (config.User = rest),
  STOPSIGNAL: (config, rest) => void (config.StopSignal = rest),
  EXPOSE: (config, rest) => {
    for (const port of rest.split(/\s+/)) {
      const found = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(port);
      if (found?.[1] === undefined || Number(found[1]) > 65535) throw refuse(`${JSON.stringify(port)} is not a port`);
      config.ExposedPorts = { ...config.ExposedPorts, [`${Number(found[1])}/${(found[2] ?? "tcp").toLowerCase()}`]: {} };
    }
  },
  VOLUME: (config, rest) => {
    for (const path of rest.startsWith("[") ? command(rest) : rest.split(/\s+/)) config.Volumes = { ...config.Volumes, [path]: {} };
  },
};

/** Rejects INVALID_SPEC, naming the change. */
export function applyChanges(changes: readonly string[]): ConfigDocument {
  const config: ConfigDocument = {};
  for (const change of changes.flatMap((text) => text.split("\n")).map((text) => text.trim())) {
    if (change === "") continue;
    const [word = "", ...rest] = change.split(/\s+/);
    const apply = INSTRUCTIONS[word.toUpperCase()];
    if (apply === undefined || rest.length === 0) throw refuse(`${JSON.stringify(change.slice(0, 100))} is not a change that an image can be given`);
    apply(config, change.slice(word.length).trim());
  }
  return config;
}

function refuse(what: string): Failure {
  return new Failure("INVALID_SPEC", what, { remedy: `use ${Object.keys(INSTRUCTIONS).join(", ")}, written as in a Dockerfile` });
}

/** A JSON list is a command; anything else is a shell's. */
function command(text: string): string[] {
  if (text.startsWith("[")) {
    try {
      const list: unknown = JSON.parse(text);
      if (Array.isArray(list) && list.every((item) => typeof item === "string")) return list;
    } catch {
      // As in a Dockerfile, what is no list of strings is a shell's line.
    }
  }
  return ["/bin/sh", "-c", text];
}

/** `NAME=VALUE …` with quotes, or the old `NAME VALUE`. */
function pairs(text: string): readonly (readonly [string, string])[] {
  const words = text.match(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g) ?? [];
  if (words[0] !== undefined && !words[0].includes("=")) return [[unquote(words[0]), text.slice(words[0].length).trim()]];
  return words.map((word) => {
    const at = word.indexOf("=");
    if (at < 1) throw refuse(`${JSON.stringify(word.slice(0, 100))} has no name or no value`);
    return [unquote(word.slice(0, at)), unquote(word.slice(at + 1))] as const;
  });
}

function unquote(text: string): string {
  return text.replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, (_, double?: string, single?: string, escaped?: string) => {
    return double === undefined ? (single ?? escaped ?? "") : double.replace(/\\(["\\$])/g, "$1");
  });
}
