/**
 * The boundary: what stands between a workload and the host.
 *
 * Code outside a driver never compares a kind with a literal; it asks for a trait. Kinds are names, traits are facts.
 */

/** Every boundary that Bulkhead knows by name. The order carries no meaning: boundaries are not a line. */
export const BOUNDARY_KINDS = ["wasm", "container", "gvisor", "microvm", "vm"] as const;

export type BoundaryKind = (typeof BOUNDARY_KINDS)[number];

/** Forms in which an image's files can be handed to a boundary. */
export type RootForm = "directories" | "block-image" | "disk" | "module";

/** Fixed facts about a boundary: never numbers, never what this host happens to have. */
export interface BoundaryTraits {
  /** Whose kernel answers the workload's system calls. */
  readonly kernel: "host" | "user-space" | "own" | "none";
  /** True where a processor's virtualisation enforces the wall. Emulation takes it away again: see `BoundaryIdentity`. */
  readonly hardwareEnforced: boolean;
  /** What the driver wants `images` to make of an image. */
  readonly rootForm: RootForm;
  /** Whether `--network host` has a meaning behind this boundary. */
  readonly hostNetwork: boolean;
  /** Whether a directory of the host can be shown inside, and how. */
  readonly hostPaths: "mount" | "file-server" | "none";
  /** How long a stop waits before it kills, where nobody says; absent: ten seconds, as Docker. A whole operating system takes longer than a process. */
  readonly stopSeconds?: number;
}

/** Which engine really carries a workload, as every inspect shows it (`Boundary`). */
export interface BoundaryIdentity {
  readonly kind: BoundaryKind;
  /** The program beneath, in its own name: `crun`, `runc`, `qemu`. */
  readonly engine: string;
  readonly version: string;
  /** A machine without usable hardware virtualisation. It works, and it is not a security boundary. */
  readonly emulated: boolean;
  /** Names of the traits that hold for this workload, for floors to compare by inclusion. */
  readonly traits: readonly string[];
  /** How this sandbox came up: booted, or begun from a template, whose other sandboxes booted into the same state. Absent where nothing boots, and before. */
  readonly start?: "cold" | "template";
}
