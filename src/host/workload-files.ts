/**
 * Files below a workload's own directory. Synchronous: each is a few microseconds, and a thread hop costs more.
 * Nothing here is synced: after a power cut nothing of a boundary stands, and a bundle can be prepared again.
 */

import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Makes a directory and what is missing above it; what is there stays. `mode` holds whatever the umask says. */
export function ensureDirectory(path: string, mode: number): void {
  if (mkdirSync(path, { recursive: true, mode: 0o711 }) !== undefined) chmodSync(path, mode);
}

/** The file appears whole under its name, or not at all. */
export function writeWhole(path: string, text: string | Uint8Array, mode = 0o644): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
}

/** A file of bytes that nobody else looks for: it need not appear whole. */
export function writeBytes(path: string, bytes: Uint8Array): void {
  writeFileSync(path, bytes);
}

/** As `writeWhole`, from another file. */
export function copyWhole(source: string, path: string): void {
  const temporary = `${path}.new`;
  copyFileSync(source, temporary);
  renameSync(temporary, path);
}

/** Writes into the file that is there, so that bind mounts of it see the change; makes it where it is missing. */
export function writeInPlace(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o644 });
}

/** An empty file whose presence is the message. */
export function placeMark(path: string): void {
  writeFileSync(path, "");
}

/** Copies a program, whole or not at all; from `/proc/PID/exe` also where its file is gone. */
export function copyProgram(source: string, target: string): void {
  const temporary = `${target}.new`;
  copyFileSync(source, temporary);
  chmodSync(temporary, 0o755);
  renameSync(temporary, target);
}

export function isThere(path: string): boolean {
  return existsSync(path);
}

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Names in a directory; none where it is not there. */
export function listNames(path: string): readonly string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

export function removeFile(path: string): void {
  rmSync(path, { force: true });
}

/** The directory that a unix socket will lie in. Rejects nothing: the length of the path is the daemon's care. */
export function ensureSocketDirectory(socket: string): void {
  ensureDirectory(dirname(socket), 0o700);
}
