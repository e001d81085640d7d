/** Another tool of this kind, driven by the command line that its users type. */

export interface Peer {
  readonly id: string;
  readonly version: string;
  /** The words before the verb: program and global flags. */
  readonly client: readonly [program: string, ...flags: string[]];
  /** Its resident processes, whose memory is paid while nothing runs; none for a tool without a daemon. */
  readonly resident: () => readonly number[];
  close(): Promise<void>;
}
