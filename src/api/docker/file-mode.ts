/** Types and permissions of files as Docker's documents count them: Go's `os.FileMode`, which is not the kernel's `st_mode`. */

const TYPE = 0o170000;

/** By the kernel's type bits; a plain file has none in Go. */
const TYPES: Readonly<Record<number, number>> = {
  0o040000: 2 ** 31,
  0o120000: 2 ** 27,
  0o060000: 2 ** 26,
  0o020000: 2 ** 26 + 2 ** 21,
  0o010000: 2 ** 25,
  0o140000: 2 ** 24,
};

const FLAGS: readonly (readonly [kernel: number, go: number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
];

export function goFileMode(mode: number): number {
  const flags = FLAGS.reduce((sum, [kernel, go]) => ((mode & kernel) === 0 ? sum : sum + go), 0);
  return (mode & 0o777) + flags + (TYPES[mode & TYPE] ?? 0);
}
