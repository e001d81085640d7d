/** What a fake workload sees as its files: a root in memory, tmpfs with a size, and binds that are real directories. */

import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path/posix";
import type { MountSpec } from "../spec.ts";

interface Owned {
  /** Permissions, as in `st_mode` without the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: Date;
}

export type FakeNode = Owned &
  ({ readonly kind: "file"; readonly bytes: Buffer } | { readonly kind: "directory" } | { readonly kind: "symlink"; readonly target: string });

/** By absolute path. */
export type FakeTree = Map<string, FakeNode>;

const NEW: Owned = { mode: 0o644, uid: 0, gid: 0, modifiedAt: new Date("2026-01-02T03:04:05Z") };
const DIRECTORY: FakeNode = { ...NEW, mode: 0o755, kind: "directory" };

/** What every image has. */
export function freshRoot(): FakeTree {
  return new Map(["/", "/etc", "/root", "/srv", "/tmp"].map((path) => [path, DIRECTORY]));
}

export class FakeFiles {
  private readonly root: FakeTree;
  private readonly mounts: readonly MountSpec[];
  private readonly readOnlyRoot: boolean;
  private readonly temporary: FakeTree = new Map();

  constructor(root: FakeTree, mounts: readonly MountSpec[], readOnlyRoot: boolean) {
    this.root = root;
    this.mounts = [...mounts].sort((a, b) => b.target.length - a.target.length);
    this.readOnlyRoot = readOnlyRoot;
  }

  read(path: string): string | undefined {
    const node = this.node(path);
    return node?.kind === "file" ? node.bytes.toString("utf8") : undefined;
  }

  /** Makes the directories above it. False where a real write would fail. */
  write(path: string, text: string): boolean {
    return this.put(path, { ...NEW, kind: "file", bytes: Buffer.from(text) });
  }

  /** What lies at exactly this path: no link in it is followed. */
  node(path: string): FakeNode | undefined {
    const mount = this.mountOf(path);
    const mounted = path === mount?.target ? DIRECTORY : undefined;
    if (mount?.kind === "bind") return realNode(realPath(mount, path)) ?? mounted;
    if (mounted !== undefined) return mounted;
    const known = (mount === undefined ? this.root : this.temporary).get(path);
    return known ?? (this.mounts.some(({ target }) => target.startsWith(`${path}/`)) ? DIRECTORY : undefined);
  }

  /** Names in a directory. */
  names(directory: string): readonly string[] {
    const mount = this.mountOf(directory);
    const prefix = directory === "/" ? "/" : `${directory}/`;
    const below = (path: string) => (path !== "/" && path.startsWith(prefix) ? [path.slice(prefix.length).split("/")[0] ?? ""] : []);
    const own =
      mount?.kind === "bind" ? readdirSync(realPath(mount, directory)) : [...(mount === undefined ? this.root : this.temporary).keys()].flatMap(below);
    return [...new Set([...own, ...this.mounts.flatMap(({ target }) => below(target))])].sort();
  }

  /** False where a real write would fail. Directories above it are made. */
  put(path: string, node: FakeNode): boolean {
    const mount = this.mountOf(path);
    if (mount === undefined ? this.readOnlyRoot : mount.readOnly) return false;
    if (mount?.kind === "bind") return putReal(realPath(mount, path), node);
    if (mount?.sizeBytes !== undefined && node.kind === "file" && node.bytes.length > mount.sizeBytes) return false;
    const tree = mount === undefined ? this.root : this.temporary;
    for (let above = dirname(path); !tree.has(above); above = dirname(above)) tree.set(above, DIRECTORY);
    tree.set(path, node);
    return true;
  }

  /** With all below it. */
  remove(path: string): void {
    const mount = this.mountOf(path);
    if (mount?.kind === "bind") return rmSync(realPath(mount, path), { recursive: true, force: true });
    const tree = mount === undefined ? this.root : this.temporary;
    for (const known of tree.keys()) if (known === path || known.startsWith(`${path}/`)) tree.delete(known);
  }

  private mountOf(path: string): MountSpec | undefined {
    return this.mounts.find(({ target }) => path === target || path.startsWith(`${target}/`));
  }
}

function realPath(mount: Extract<MountSpec, { kind: "bind" }>, path: string): string {
  return path === mount.target ? mount.source : join(mount.source, path.slice(mount.target.length + 1));
}

function realNode(path: string): FakeNode | undefined {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return undefined;
  const owned = { mode: status.mode & 0o7777, uid: status.uid, gid: status.gid, modifiedAt: status.mtime };
  if (status.isSymbolicLink()) return { ...owned, kind: "symlink", target: readlinkSync(path) };
  return status.isDirectory() ? { ...owned, kind: "directory" } : { ...owned, kind: "file", bytes: readFileSync(path) };
}

function putReal(path: string, node: FakeNode): boolean {
  mkdirSync(dirname(path), { recursive: true });
  if (node.kind === "symlink") {
    symlinkSync(node.target, path);
    return true;
  }
  if (node.kind === "file") writeFileSync(path, node.bytes);
  else if (!existsSync(path) || !statSync(path).isDirectory()) mkdirSync(path);
  chmodSync(path, node.mode);
  utimesSync(path, node.modifiedAt, node.modifiedAt);
  return true;
}
