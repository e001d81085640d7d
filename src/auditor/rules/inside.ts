/** What makes the first step inside easier, and the next one. */

import { cis, type Rule } from "../rule.ts";

const SECRET_NAME = /(PASS(WORD|WD)?|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIALS?|ACCESS_?KEY)$/i;
/** Values that point elsewhere, or are switches. */
const NO_SECRET = /^(|true|false|yes|no|0|1|\/.*|\$\{?\w+.*)$/i;

/** `POSTGRES_PASSWORD_FILE=/run/secrets/x` names a file and is what should be done. */
export function holdsSecret(entry: string): string | undefined {
  const at = entry.indexOf("=");
  if (at === -1) return undefined;
  const [name, value] = [entry.slice(0, at), entry.slice(at + 1)];
  return SECRET_NAME.test(name) && !NO_SECRET.test(value) ? name : undefined;
}

export const INSIDE_RULES: readonly Rule[] = [
  {
    id: "BH020",
    title: "Programs may gain privileges",
    severity: "low",
    gains: "a foothold",
    attack: "A program with the set-user-id bit makes root of whoever got in as somebody else.",
    find: ({ securityOptions }) => {
      const value = securityOptions["no-new-privileges"];
      if (value !== undefined && value !== "false") return [];
      return [
        {
          where: "HostConfig.SecurityOpt",
          what: "no-new-privileges is not set",
          fix: "--security-opt no-new-privileges",
          edits: [{ kind: "security-option", name: "no-new-privileges", value: "true" }],
        },
      ];
    },
    sources: [cis("5.25")],
  },
  {
    id: "BH021",
    title: "Its program is root inside",
    severity: "medium",
    gains: "a foothold",
    attack: "Whoever breaks the program is root in the workload, with its capabilities, and root outside where a wall has a hole.",
    find: ({ user }) => {
      const name = user.split(":", 1)[0] ?? "";
      if (name !== "" && name !== "0" && name !== "root") return [];
      const what = name === "" ? "neither the workload nor its image names a user: it is root" : `it runs as ${user}`;
      return [
        {
          where: "Config.User",
          what,
          fix: "--user 65534:65534, or USER in the image, with the files that it writes owned by that user",
          edits: [{ kind: "user", user: "65534:65534" }],
        },
      ];
    },
    mayBreak: true,
    losesForceOn: { wasm: "a module has no users and no kernel" },
    sources: [cis("4.1")],
  },
  {
    id: "BH022",
    title: "Its root can be written",
    severity: "low",
    gains: "a foothold",
    attack: "What got in replaces programs and stays for the next start.",
    find: ({ readOnlyRoot }) =>
      readOnlyRoot
        ? []
        : [
            {
              where: "HostConfig.ReadonlyRootfs",
              what: "the root filesystem is writable",
              fix: "--read-only, with --tmpfs or a volume where it writes",
              edits: [{ kind: "read-only-root" }],
            },
          ],
    mayBreak: true,
    sources: [cis("5.12")],
  },
  {
    id: "BH023",
    title: "The default capabilities are kept",
    severity: "low",
    gains: "a foothold",
    attack: "Fourteen parts of root's power that most programs never use, NET_RAW (forged packets) and MKNOD among them.",
    find: ({ capabilitiesDropped, privileged }) =>
      privileged || capabilitiesDropped.includes("ALL")
        ? []
        : [
            {
              where: "HostConfig.CapDrop",
              what: "no capability is given up",
              fix: "--cap-drop ALL, and --cap-add for those that are used",
              edits: [{ kind: "drop-capabilities" }],
            },
          ],
    mayBreak: true,
    losesForceOn: { wasm: "a module has no capabilities" },
    sources: [cis("5.3")],
  },
  {
    id: "BH024",
    title: "A secret in the environment",
    severity: "high",
    gains: "data",
    attack: "It is in every inspect, in each child process, and in the crash reports of the program.",
    find: ({ environment }) =>
      environment.flatMap((entry) => {
        const name = holdsSecret(entry);
        return name === undefined
          ? []
          : [
              {
                where: "Config.Env",
                what: `${name} carries its value`,
                fix: `Mount a file with it and name the file (${name}_FILE), or take the value from the caller's own environment.`,
              },
            ];
      }),
    sources: [cis("4.10")],
  },
  {
    id: "BH025",
    title: "The image is not named exactly",
    severity: "low",
    gains: "a foothold",
    attack: "Whoever can move the tag chooses what runs at the next pull.",
    find: ({ image }) => {
      const tag = /:([^/:@]+)(@|$)/.exec(image)?.[1];
      if (image === "" || image.includes("@sha256:") || /^(sha256:)?[0-9a-f]{64}$/.test(image) || (tag !== undefined && tag !== "latest")) return [];
      return [{ where: "Config.Image", what: `${image} is whatever is newest`, fix: "Name a version, better the digest: image@sha256:…" }];
    },
    sources: [cis("5.27")],
  },
  {
    id: "BH026",
    title: "A remote shell inside",
    severity: "low",
    gains: "a foothold",
    attack: "One more listening program with keys of its own; exec needs none.",
    find: ({ command }) => (command.some((word) => /(^|\/)sshd$/.test(word)) ? [{ where: "Config.Cmd", what: "sshd is started", fix: "Use exec." }] : []),
    sources: [cis("5.6")],
  },
];
