/**
 * The smallest system there is, for trials: a boot sector that says a word on the serial line and switches the machine off. It takes firmware, disk,
 * serial line and the power-off of ACPI to get there. 16-bit code of the 8086, loaded at 0x7c00.
 */

const ORIGIN = 0x7c00;
const SECTOR_BYTES = 512;
/** Firmware asks a disk for its geometry: one of a single sector has none. */
const DISK_BYTES = 1024 * 1024;
const WORD = "bulkhead\r\n\0";

const CODE = [
  ...[0x31, 0xc0], // xor ax, ax
  ...[0x8e, 0xd8], // mov ds, ax
  ...[0xbe, 0x1c, ORIGIN >> 8], // mov si, WORD, which follows the code
  ...[0xba, 0xf8, 0x03], // mov dx, 0x3f8: the first serial line
  0xac, // next: lodsb
  ...[0x84, 0xc0], // test al, al
  ...[0x74, 0x03], // jz off
  0xee, // out dx, al
  ...[0xeb, 0xf8], // jmp next
  ...[0xba, 0x04, 0x06], // off: mov dx, 0x604, PM1a_CNT of the board q35 as its firmware places it
  ...[0xb8, 0x00, 0x20], // mov ax, SLP_EN with the sleep type of S5
  0xef, // out dx, ax
  0xf4, // halt: hlt
  ...[0xeb, 0xfd], // jmp halt
] as const;

/** A whole disk. */
export function trialDisk(): Buffer {
  const disk = Buffer.alloc(DISK_BYTES);
  Buffer.from(CODE).copy(disk);
  disk.write(WORD, CODE.length, "latin1");
  disk.writeUInt16BE(0x55aa, SECTOR_BYTES - 2);
  return disk;
}
