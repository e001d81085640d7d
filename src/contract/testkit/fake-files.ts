/** What a fake workload sees as its files: a root in memory, tmpfs with a size, and binds that are real directories. */

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { MountSpec } from "../spec.ts";

export class FakeFiles {
  private readonly root: Map<string, string>;
  private readonly mounts: readonly MountSpec[];
  private readonly readOnlyRoot: boolean;
  private readonly temporary = new Map<string, string>();

  constructor(root: Map<string, string>, mounts: readonly MountSpec[], readOnlyRoot: boolean) {
    this.root = root;
    this.mounts = [...mounts].sort((a, b) => b.target.length - a.target.length);
    this.readOnlyRoot = readOnlyRoot;
  }

  read(path: string): string | undefined {
    const mount = this.mountOf(path);
    if (mount?.kind === "bind") {
      const real = realPath(mount, path);
      return existsSync(real) && statSync(real).isFile() ? readFileSync(real, "utf8") : undefined;
    }
    return (mount === undefined ? this.root : this.temporary).get(path);
  }

  /** False where a real write would fail. */
  write(path: string, text: string): boolean {
    const mount = this.mountOf(path);
    if (mount === undefined) {
      if (this.readOnlyRoot) return false;
      this.root.set(path, text);
      return true;
    }
    if (mount.readOnly) return false;
    if (mount.kind === "tmpfs") {
      if (mount.sizeBytes !== undefined && text.length > mount.sizeBytes) return false;
      this.temporary.set(path, text);
      return true;
    }
    const real = realPath(mount, path);
    mkdirSync(dirname(real), { recursive: true });
    writeFileSync(real, text);
    return true;
  }

  private mountOf(path: string): MountSpec | undefined {
    return this.mounts.find(({ target }) => path === target || path.startsWith(`${target}/`));
  }
}

function realPath(mount: Extract<MountSpec, { kind: "bind" }>, path: string): string {
  return path === mount.target ? mount.source : join(mount.source, path.slice(mount.target.length + 1));
}
