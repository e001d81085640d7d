/** What a verb is: data for the parser, the help, the completion and the reference, and one function that does it. */

import type { Client } from "../../sdk/src/index.ts";
import type { Flags } from "./flags.ts";

export type CompletionKind = "workloads" | "running" | "images" | "volumes" | "networks" | "files" | "paths" | "none";

export interface OptionDefinition {
  readonly name: string;
  readonly short?: string;
  /**
   * `flag` stands alone or as `--name=false`; `text` and `number` take one value, the last one counts; `list` takes one each time it stands.
   */
  readonly kind: "flag" | "text" | "number" | "list";
  /** How the value is called in help: `bytes`. */
  readonly value?: string;
  readonly help: string;
  /** Text that help shows as the default; the code that reads the flag applies it. */
  readonly initially?: string;
  readonly choices?: readonly string[];
  readonly completes?: CompletionKind;
}

export interface Command {
  /** After the verb: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  readonly description?: string;
  readonly options: readonly OptionDefinition[];
  readonly examples?: readonly { readonly command: string; readonly says: string }[];
  /** Fewest and most arguments; `most` absent is without limit. */
  readonly least: number;
  readonly most?: number;
  /** Options end at the first argument: what follows belongs to the workload. */
  readonly stopsAtArgument?: boolean;
  readonly completes?: CompletionKind;
  /** Resolves with the exit code. */
  run(invocation: Invocation): Promise<number>;
}

export interface Invocation {
  readonly verb: string;
  readonly flags: Flags;
  readonly args: readonly string[];
  readonly client: Client;
}

/** Something wrong with the command line itself: printed with a pointer to the help, exit code 125. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string) {
    super(message);
    this.remedy = remedy;
  }
}
