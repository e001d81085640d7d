/** What an attempt to leave a workload is, as data. The tables are in vectors/, the runner is escapes.test.ts. */

import type { HostConfig } from "@bulkhead/sdk";
import type { Bed, Target } from "./bed.ts";

/** The boundaries with a kernel's interface inside; what wasm modules try is in test/integration/wasm-guards.test.ts. */
export const BOUNDARIES = ["container", "gvisor", "microvm"] as const;
export type Attacked = (typeof BOUNDARIES)[number];

/** How it would be seen that an attempt came through. Only what it does to the host counts, or a secret that it could have from there alone. */
export type Effect =
  /** It says the bed's secret, which lies on the host in a file, a process, a key, behind a socket or on a disk. */
  | "secret"
  /** A file stands in the bed's folder of marks. */
  | "mark"
  /** The bed's process has ended. */
  | "signal"
  /** The file of a program that the host runs was opened for writing. */
  | "program"
  /** A setting of the host's kernel is another than before; it is set back. */
  | { readonly setting: string }
  /** The host sees it. */
  | { readonly seen: (bed: Bed, target: Target) => boolean | Promise<boolean> };

export interface Vector {
  /** Named by the ledgers in docs/boundaries. */
  readonly id: string;
  /** A sentence's end: "a workload cannot …". */
  readonly deed: string;
  /** CVEs or where it was described first. */
  readonly follows: string;
  /** What is run inside, as root and by a shell. */
  readonly attempt: (bed: Bed) => string;
  /** Where running it inside is not all: what else is done, and everything that was said. */
  readonly carryOut?: (bed: Bed, target: Target, script: string) => Promise<string>;
  readonly effect: Effect;
  /** What a container's kernel says to it. */
  readonly told?: RegExp;
  /** A container so weakened that the same attempt comes through; or, where no option is weak enough, something weak of the test's own. */
  readonly control: { readonly host: HostConfig | ((bed: Bed) => HostConfig) } | { readonly own: (bed: Bed, script: string) => Promise<string> };
  /** Boundaries on which it means nothing, and why. */
  readonly meaningless?: Partial<Readonly<Record<Attacked, string>>>;
  /** Why this host cannot show it. */
  readonly needs?: (bed: Bed) => string | undefined;
}
