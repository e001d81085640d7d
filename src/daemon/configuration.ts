/**
 * The daemon's configuration: /etc/bulkhead/config.json, then the command line over it. The schema below is the document
 * that `docs/schema/config.json` publishes; what it does not know is refused, because a misspelt guard is no guard.
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { BOUNDARY_KINDS } from "../contract/boundary.ts";
import { Failure, quote } from "../contract/failure.ts";

export const DEFAULT_CONFIG_FILE = "/etc/bulkhead/config.json";

const strict = { additionalProperties: false } as const;
const path = (description: string) => Type.String({ pattern: "^/", description });
const bytes = (description: string) => Type.Integer({ minimum: 0, description });

export const CONFIGURATION_SCHEMA = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    root: Type.Optional(path("Directory of everything lasting; /var/lib/bulkhead by default")),
    socket: Type.Optional(path("Unix socket of the API; /run/bulkhead/bulkhead.sock by default")),
    run: Type.Optional(path("Directory of what a reboot may take: sockets of launcher and supervisors")),
    policy: Type.Optional(path("What the operator demands of workloads; /etc/bulkhead/policy.yaml, where it exists")),
    group: Type.Optional(Type.String({ minLength: 1, description: "Group that may use the socket; bulkhead by default, where it exists" })),
    sockets: Type.Optional(
      Type.Array(Type.Object({ path: path("Where it listens"), group: Type.String({ minLength: 1, description: "Group that may use it" }) }, strict), {
        description: "Further sockets of the API; the policy tells callers apart by them",
      }),
    ),
    trustedHosts: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        description: "HOST or HOST:PORT of web pages that may ask the API, and public names by which it may be asked; none by default",
      }),
    ),
    launcher: Type.Optional(path("The program bulkhead-launcher")),
    defaultIsolation: Type.Optional(
      Type.Union(
        BOUNDARY_KINDS.map((kind) => Type.Literal(kind)),
        { description: "Boundary of runs that name none; container by default" },
      ),
    ),
    logLevel: Type.Optional(Type.Union([Type.Literal("debug"), Type.Literal("info"), Type.Literal("warn"), Type.Literal("error")])),
    insecureRegistries: Type.Optional(Type.Array(Type.String(), { description: "Registries that are spoken to without TLS" })),
    registryCertificates: Type.Optional(
      Type.Array(path("A directory with HOST[:PORT]/ca.crt"), { description: "Certificates of registries, as Docker keeps them" }),
    ),
    registryCredentials: Type.Optional(
      path("A file of auths, as Docker's client keeps them, for pulls by callers without credentials of their own; none are lent unless it is named"),
    ),
    subnets: Type.Optional(Type.Array(Type.String(), { description: "Ranges to take networks from, in CIDR form, in this order" })),
    metadata: Type.Optional(
      Type.Boolean({
        description: "Whether workloads on networks reach clouds' metadata services (169.254.169.254 and all link-local addresses); false by default",
      }),
    ),
    templates: Type.Optional(Type.Boolean({ description: "Whether machines begin from saved ones where they can; true by default" })),
    images: Type.Optional(
      Type.Object(
        {
          reserveBytes: Type.Optional(bytes("Disk that images must leave free; a twentieth by default, and at most 1 GiB")),
          maxLayerBytes: Type.Optional(bytes("What one layer may take unpacked; 64 GiB by default")),
          maxLayerEntries: Type.Optional(bytes("Files and directories that one layer may have; 4000000 by default")),
        },
        strict,
      ),
    ),
    gvisor: Type.Optional(
      Type.Object(
        {
          platform: Type.Optional(
            Type.Union([Type.Literal("systrap"), Type.Literal("ptrace"), Type.Literal("kvm")], {
              description: "How gVisor intercepts system calls, and no other; systrap, else ptrace by default",
            }),
          ),
        },
        strict,
      ),
    ),
    machine: Type.Optional(
      Type.Object(
        {
          kernel: Type.Optional(path("Kernel image that machines boot")),
          initrd: Type.Optional(path("Initial file system with init and agent")),
          qemu: Type.Optional(path("The VMM")),
        },
        strict,
      ),
    ),
  },
  { ...strict, $id: "https://bulkhead.dev/schema/config.json", title: "Configuration of the Bulkhead daemon" },
);

export type Configuration = Static<typeof CONFIGURATION_SCHEMA>;

export const USAGE = `usage: bulkhead daemon [--root DIR] [--socket PATH] [--config FILE]

  --root DIR      everything lasting (default /var/lib/bulkhead)
  --socket PATH   where the API listens (default /run/bulkhead/bulkhead.sock, or ROOT/run/bulkhead.sock for another root)
  --config FILE   configuration (default ${DEFAULT_CONFIG_FILE}, where it exists)
  --schema        print the configuration's JSON schema and end
`;

/** Reads command line and file. Rejects INVALID_SPEC naming the option or the field; a text where only that was asked for. */
export function readConfiguration(argv: readonly string[]): Configuration | string {
  const options = parseOptions(argv);
  if (options.help === true) return USAGE;
  if (options.schema === true) return `${JSON.stringify(CONFIGURATION_SCHEMA, null, 2)}\n`;
  const file = readFile(options.config);
  return {
    ...file,
    ...(options.root === undefined ? {} : { root: absolute(options.root, "--root") }),
    ...(options.socket === undefined ? {} : { socket: absolute(options.socket, "--socket") }),
  };
}

function parseOptions(argv: readonly string[]): { root?: string; socket?: string; config?: string; schema?: boolean; help?: boolean } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        root: { type: "string" },
        socket: { type: "string" },
        config: { type: "string" },
        schema: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (cause) {
    throw new Failure("INVALID_SPEC", cause instanceof Error ? cause.message : String(cause), { remedy: USAGE, cause });
  }
}

function absolute(value: string, option: string): string {
  const socket = value.replace(/^unix:\/\//, "");
  if (!socket.startsWith("/")) throw new Failure("INVALID_SPEC", `${option} takes an absolute path, not ${quote(value)}`);
  return socket.length > 1 ? socket.replace(/\/+$/, "") : socket;
}

function readFile(named: string | undefined): Configuration {
  const path = named ?? DEFAULT_CONFIG_FILE;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (named === undefined && (cause as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Failure("NOT_FOUND", `The configuration ${path} cannot be read`, { remedy: "Name a file that exists with --config, or leave it out", cause });
  }
  return parseConfiguration(text, path);
}

/** Rejects INVALID_SPEC naming the first field that is wrong. */
export function parseConfiguration(text: string, path: string): Configuration {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new Failure("INVALID_SPEC", `The configuration ${path} is not JSON: ${cause instanceof Error ? cause.message : ""}`, { cause });
  }
  const [error] = Value.Errors(CONFIGURATION_SCHEMA, document);
  if (error === undefined) return document as Configuration;
  const field = error.path === "" ? "The document" : `The field ${error.path.slice(1).replaceAll("/", ".")}`;
  throw new Failure("INVALID_SPEC", `${field} of ${path} is wrong: ${error.message}`, {
    remedy: `Known fields: ${Object.keys(CONFIGURATION_SCHEMA.properties).join(", ")}`,
  });
}
