/** The least WASI command that can be seen: it writes a line, and then reads its stdin until that ends. Assembled here, so that no compiler is needed. */

const I32 = 0x7f;
const section = (id: number, bytes: readonly number[]) => [id, ...unsigned(bytes.length), ...bytes];
const vector = (items: readonly (readonly number[])[]) => [...unsigned(items.length), ...items.flat()];
const name = (text: string) => [...unsigned(text.length), ...Buffer.from(text)];
const constant = (value: number) => [0x41, ...signed(value)];

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  return value < 64 ? [value] : [(value & 127) | 128, ...signed(value >>> 7)];
}

/** Where things lie in its memory: a vector over the line, a vector to read into, the counts. */
const AT = { line: 0, input: 8, count: 16, text: 64, buffer: 128 } as const;

export function assembleGreeting(line: string): Buffer {
  const call = (index: number, descriptor: number, vectorAt: number) => [...[descriptor, vectorAt, 1, AT.count].flatMap(constant), 0x10, index, 0x1a];
  const word = (value: number) => [...Buffer.from(Uint32Array.of(value).buffer)];
  const imported = (field: string) => [...name("wasi_snapshot_preview1"), ...name(field), 0, 0];
  const body = [0, ...call(0, 1, AT.line), ...call(1, 0, AT.input), 0x0b];
  const data = (at: number, bytes: readonly number[]) => [0, ...constant(at), 0x0b, ...unsigned(bytes.length), ...bytes];
  return Buffer.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      vector([
        [0x60, 4, I32, I32, I32, I32, 1, I32],
        [0x60, 0, 0],
      ]),
    ),
    ...section(2, vector([imported("fd_write"), imported("fd_read")])),
    ...section(3, vector([[1]])),
    ...section(5, vector([[0, 1]])),
    ...section(
      7,
      vector([
        [...name("memory"), 2, 0],
        [...name("_start"), 0, 2],
      ]),
    ),
    ...section(10, vector([[...unsigned(body.length), ...body]])),
    ...section(11, vector([data(AT.line, [...word(AT.text), ...word(line.length), ...word(AT.buffer), ...word(64)]), data(AT.text, [...Buffer.from(line)])])),
  ]);
}
