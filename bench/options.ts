/** The command line of `compare`. */

import { parseArgs } from "node:util";
import { reasonOf } from "./reason.ts";
import { shellWords } from "./shell-words.ts";

export interface CompareOptions {
  readonly mode: "compare" | "check" | "peers";
  readonly image: string;
  readonly command: readonly string[];
  readonly quick: boolean;
  /** Starts, execs and memory of the boundaries alone, a few of each: seconds. */
  readonly brief: boolean;
  /** `-` is standard output; absent: a table. */
  readonly json: string | undefined;
  /** Where the page with plots goes. */
  readonly html: string | undefined;
  /** A document of an earlier run. */
  readonly against: string | undefined;
  readonly seed: number;
  readonly host: string | undefined;
  /** Leave the raw mechanisms out. */
  readonly boundariesOnly: boolean;
  readonly help: boolean;
}

export const USAGE = `Usage: bulkhead compare [OPTIONS] [IMAGE] [-- COMMAND...]

Runs one workload behind every boundary that this host has, and the raw mechanisms beneath, interleaved, and prints what each costs here.

  --quick              fewer samples, about a minute; on a slow host fewer still
  --brief              starts, execs and memory alone, a few samples, without the raw mechanisms: some ten seconds; with --peers as --quick
  --json[=FILE]        the figures with raw samples as JSON (schema: docs/compare.schema.json)
  --html=FILE          one page with every sample plotted, for a browser; needs no network
  --against FILE       what changed since an earlier --json=FILE, beyond noise
  --seed N             order of the samples (default 1)
  --boundaries-only    leave plain crun, runsc and QEMU and the plain host out
  --peers              Bulkhead beside dockerd and podman, where they are installed, at what their users do all day
  --check              measure the goals of the project's table instead; exit 1 where one is missed

Examples:
  bulkhead compare
  bulkhead compare --peers --quick
  bulkhead compare --json=here.json python:3.12 -- python3 -c 'print("ready")'
`;

export class UsageError extends Error {}

export function parseCompare(argv: readonly string[]): CompareOptions {
  const separator = argv.indexOf("--");
  const own = (separator === -1 ? argv : argv.slice(0, separator)).map((argument) => (argument === "--json" ? "--json=-" : argument));
  const command = separator === -1 ? ["echo", "ready"] : argv.slice(separator + 1);
  let parsed;
  try {
    parsed = parseArgs({
      args: own,
      allowPositionals: true,
      options: {
        quick: { type: "boolean", default: false },
        brief: { type: "boolean", default: false },
        json: { type: "string" },
        against: { type: "string" },
        html: { type: "string" },
        seed: { type: "string", default: "1" },
        host: { type: "string" },
        "boundaries-only": { type: "boolean", default: false },
        check: { type: "boolean", default: false },
        peers: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (thrown) {
    throw new UsageError(reasonOf(thrown));
  }
  const seed = Number(parsed.values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new UsageError(`--seed takes a whole number, not ${JSON.stringify(parsed.values.seed)}`);
  if (parsed.positionals.length > 1)
    throw new UsageError(`one image at a time: put the command behind --, as in: compare ${parsed.positionals[0]} -- ${parsed.positionals.slice(1).join(" ")}`);
  if (parsed.values.check && parsed.values.peers) throw new UsageError("--check and --peers are two runs: give one of them");
  if ((parsed.values.against ?? parsed.values.html) !== undefined && (parsed.values.check || parsed.values.peers))
    throw new UsageError("--against and --html go with a plain compare alone");
  if (command.length === 0) throw new UsageError("no command behind --");
  return {
    mode: parsed.values.check ? "check" : parsed.values.peers ? "peers" : "compare",
    image: parsed.positionals[0] ?? "busybox",
    command,
    quick: parsed.values.quick,
    brief: parsed.values.brief,
    json: parsed.values.json,
    against: parsed.values.against,
    html: parsed.values.html,
    seed,
    host: parsed.values.host,
    boundariesOnly: parsed.values["boundaries-only"] || parsed.values.brief,
    help: parsed.values.help,
  };
}

/** What a person pastes into a shell to measure the same again. */
export function repeatCommand(options: CompareOptions): string {
  const { mode, quick, brief, boundariesOnly, seed, host, image, command } = options;
  const only = brief ? ["--brief"] : boundariesOnly ? ["--boundaries-only"] : [];
  const flags = [...(mode === "peers" ? ["--peers"] : []), ...(quick ? ["--quick"] : []), ...only];
  const words = ["bulkhead", "compare", ...flags, "--seed", String(seed), ...(host === undefined ? [] : ["--host", host]), image];
  return shellWords(mode === "peers" ? words : [...words, "--", ...command]);
}
