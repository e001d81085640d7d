/** Dockerfiles: what an image will carry into every workload made of it. Only the last stage is shipped; secrets count in each. */

import type { Finding, Gain, Severity } from "../finding.ts";
import { cis } from "../rule.ts";
import { holdsSecret } from "../rules/inside.ts";

export interface Instruction {
  /** Upper case. */
  readonly word: string;
  readonly rest: string;
  /** From 1. */
  readonly line: number;
}

interface BuildRule {
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  readonly gains: Gain;
  readonly attack: string;
  readonly find: (file: DockerfileView) => readonly { readonly line: number; readonly what: string; readonly fix: string }[];
  readonly sources: readonly string[];
}

interface DockerfileView {
  readonly all: readonly Instruction[];
  readonly last: readonly Instruction[];
}

const runs = ({ all }: DockerfileView): readonly Instruction[] => all.filter(({ word }) => word === "RUN");

const BUILD_RULES: readonly BuildRule[] = [
  {
    id: "BH060",
    title: "The image's user is root",
    severity: "medium",
    gains: "a foothold",
    attack: "Every workload made of it runs as root inside unless somebody remembers --user.",
    find: ({ last }) => {
      const user = last.findLast(({ word }) => word === "USER");
      const name = user?.rest.split(":", 1)[0]?.trim() ?? "";
      if (name !== "" && name !== "0" && name !== "root") return [];
      return [
        {
          line: user?.line ?? last[0]?.line ?? 1,
          what: user === undefined ? "no USER is named" : "USER is root",
          fix: "USER 65534:65534, or a user made in the image",
        },
      ];
    },
    sources: [cis("4.1")],
  },
  {
    id: "BH061",
    title: "A secret in a layer",
    severity: "high",
    gains: "data",
    attack: "It stays in the image's history for everybody who can pull it, also where a later step removes it.",
    find: ({ all }) =>
      all
        .filter(({ word }) => word === "ENV" || word === "ARG")
        .flatMap(({ rest, line }) => {
          const pairs = rest.match(/(?<!\S)[\w.-]+=("[^"]*"|'[^']*'|\S*)/g) ?? [rest.replace(/^(\S+)\s+/, "$1=")];
          const names = pairs.map((pair) => holdsSecret(pair.replace(/=["'](.*)["']$/, "=$1"))).filter((name) => name !== undefined);
          return names.map((name) => ({ line, what: `${name} carries its value`, fix: "RUN --mount=type=secret, or a file mounted at run time" }));
        }),
    sources: [cis("4.10")],
  },
  {
    id: "BH062",
    title: "ADD of what somebody else may change",
    severity: "medium",
    gains: "a foothold",
    attack: "The address answers something else tomorrow; ADD also unpacks archives without a word.",
    find: ({ all }) =>
      all
        .filter(({ word, rest }) => word === "ADD" && /\bhttps?:\/\//.test(rest) && !/--checksum=/.test(rest))
        .map(({ line }) => ({ line, what: "ADD fetches an address without a checksum", fix: "ADD --checksum=sha256:…, or COPY of a file that is here" })),
    sources: [cis("4.9")],
  },
  {
    id: "BH063",
    title: "A program is run as it comes from the network",
    severity: "high",
    gains: "a foothold",
    attack: "Whoever answers there, or stands between, is root in the build.",
    find: (file) =>
      runs(file)
        .filter(({ rest }) => /\b(curl|wget)\b[^|;&]{0,500}\|\s*(sudo\s+)?(ba|da|z|a)?sh\b/.test(rest))
        .map(({ line }) => ({ line, what: "a download is piped into a shell", fix: "Fetch it, compare its digest, then run it." })),
    sources: ["CWE-494"],
  },
  {
    id: "BH064",
    title: "The base is not named exactly",
    severity: "low",
    gains: "a foothold",
    attack: "Whoever can move the tag chooses what is built on.",
    find: ({ all }) => {
      const stages = new Set(all.filter(({ word }) => word === "FROM").map(({ rest }) => /\bAS\s+(\S+)/i.exec(rest)?.[1]?.toLowerCase()));
      return all
        .filter(({ word }) => word === "FROM")
        .flatMap(({ rest, line }) => {
          const base = rest.replace(/--\S+\s+/g, "").split(/\s+/)[0] ?? "";
          if (base === "scratch" || base.includes("$") || base.includes("@sha256:") || stages.has(base.toLowerCase())) return [];
          const tag = /:([^/:]+)$/.exec(base)?.[1];
          return tag === undefined || tag === "latest" ? [{ line, what: `${base} is whatever is newest`, fix: "Name a version, better the digest." }] : [];
        });
    },
    sources: [cis("5.27"), cis("4.2")],
  },
  {
    id: "BH065",
    title: "A set-user-id program",
    severity: "medium",
    gains: "a foothold",
    attack: "It makes root inside of whoever can start it.",
    find: (file) =>
      runs(file)
        .filter(({ rest }) => /\bchmod\s+(-\S+\s+)*([ugoa]*\+[rwxt]*s|[2467]\d{3})\b/.test(rest))
        .map(({ line }) => ({ line, what: "chmod sets the set-user-id bit", fix: "Leave the bit off; give the program the capability that it needs." })),
    sources: [cis("4.8")],
  },
  {
    id: "BH066",
    title: "Package lists of another day",
    severity: "low",
    gains: "a foothold",
    attack: "A cached layer of `apt-get update` alone makes later builds install old, vulnerable packages.",
    find: (file) =>
      runs(file)
        .filter(({ rest }) => /\b(apt-get|apt|yum|dnf|apk)\s+(-\S+\s+)*update\b/.test(rest) && !/\b(install|add|upgrade)\b/.test(rest))
        .map(({ line }) => ({ line, what: "the package lists are fetched in a step of their own", fix: "Update and install in one RUN." })),
    sources: [cis("4.7")],
  },
  {
    id: "BH067",
    title: "The image has no health check",
    severity: "info",
    gains: "service",
    attack: "A program that hangs is taken for one that works.",
    find: ({ last }) =>
      last.some(({ word }) => word === "HEALTHCHECK") ? [] : [{ line: last[0]?.line ?? 1, what: "there is no HEALTHCHECK", fix: "HEALTHCHECK CMD …" }],
    sources: [cis("4.6")],
  },
];

export const BUILD_RULE_TITLES: Readonly<Record<string, string>> = Object.fromEntries(BUILD_RULES.map(({ id, title }) => [id, title]));

/** Continued lines are one instruction; here-documents are its rest; comments are dropped. Linear in the text, whoever wrote it. */
export function parseDockerfile(text: string): readonly Instruction[] {
  const instructions: Instruction[] = [];
  const lines = text.split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    const parts = [(lines[index] ?? "").trim()];
    if (parts[0] === "" || parts[0]?.startsWith("#")) continue;
    while (parts.at(-1)?.endsWith("\\") === true && index + 1 < lines.length) {
      parts.push((parts.pop() ?? "").slice(0, -1));
      index += 1;
      const next = (lines[index] ?? "").trim();
      // A comment between is no end of the instruction.
      parts.push(next.startsWith("#") ? "\\" : next);
    }
    const marker = /<<-?["']?(\w+)["']?/.exec(parts.join(" "))?.[1];
    while (marker !== undefined && index + 1 < lines.length) {
      index += 1;
      if (lines[index]?.trim() === marker) break;
      parts.push(`\n${lines[index]}`);
    }
    const [, word = "", rest = ""] = /^(\w+)\s+([\s\S]*)$/.exec(parts.join(" ")) ?? [];
    if (word !== "") instructions.push({ word: word.toUpperCase(), rest: rest.trim(), line });
  }
  return instructions;
}

export function auditDockerfile(text: string, subject: string, accepted: Readonly<Record<string, string>>): readonly Finding[] {
  const all = parseDockerfile(text);
  const view: DockerfileView = {
    all,
    last: all.slice(
      Math.max(
        0,
        all.findLastIndex(({ word }) => word === "FROM"),
      ),
    ),
  };
  return BUILD_RULES.flatMap((rule) =>
    rule.find(view).map(({ line, what, fix }) => ({
      id: rule.id,
      title: rule.title,
      severity: rule.severity,
      baseSeverity: rule.severity,
      subject,
      where: `line ${line}`,
      line,
      what,
      gains: rule.gains,
      attack: rule.attack,
      fix,
      edits: [],
      mayBreak: true,
      losesForceOn: [],
      sources: rule.sources,
      tests: [],
      ...(accepted[rule.id] === undefined ? {} : { accepted: accepted[rule.id] as string }),
    })),
  );
}
