/** Which file is the program, and its compiled form in the cache: made once for each digest, engine and processor. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { Failure, quote } from "../../contract/failure.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { RootSource } from "../../contract/spec.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { findLayeredPath } from "../../host/layered-file.ts";
import { ensureDirectory, isThere } from "../../host/workload-files.ts";
import { compiledPath } from "./bundle.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const REMEMBERED_DIGESTS = 1000;

/** The module's file on the host. Rejects COMMAND_NOT_FOUND; what it holds is the compiler's to judge. */
export function findModule(root: Extract<RootSource, { form: "module" }>, upper: string, main: ProcessSpec): string {
  if (root.file !== undefined) return root.file;
  const [command = ""] = main.command;
  const layers = isThere(upper) ? [upper, ...root.layers] : root.layers;
  for (const path of candidates(command, main)) {
    const found = findLayeredPath(layers, path);
    if (found !== undefined) return found;
  }
  throw new Failure("COMMAND_NOT_FOUND", `exec: ${quote(command)}: no such module in the image`, { remedy: "Name the .wasm file in the image by its path" });
}

function candidates(command: string, main: ProcessSpec): readonly string[] {
  if (command.startsWith("/")) return [command];
  if (command.includes("/")) return [`${main.workingDirectory}/${command}`];
  const path = main.environment.find((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? DEFAULT_PATH;
  return [...path.split(":").filter((folder) => folder !== ""), main.workingDirectory].map((folder) => `${folder}/${command}`);
}

/** Compiled modules below one directory. */
export class ModuleCache {
  readonly #directory: string;
  readonly #launcher: Launcher;
  readonly #digests = new Map<string, string>();
  readonly #compiling = new Map<string, Promise<void>>();

  constructor(directory: string, launcher: Launcher) {
    this.#directory = directory;
    this.#launcher = launcher;
  }

  /** The compiled form of a module, made where it is missing. Rejects COMMAND_NOT_EXECUTABLE with what is wrong with the module. */
  async compile(module: string, key: string): Promise<string> {
    const path = compiledPath(this.#directory, key, await this.#digestOf(module));
    if (isThere(path)) return path;
    let making = this.#compiling.get(path);
    if (making === undefined) {
      ensureDirectory(dirname(path), 0o711);
      making = this.#launcher.request("compileModule", { module, file: path }).then(() => undefined);
      this.#compiling.set(path, making);
      making.finally(() => this.#compiling.delete(path)).catch(() => undefined);
    }
    await making;
    return path;
  }

  /** A blob of the image store is named by its digest already; other files are read once for as long as they stay as they are. */
  async #digestOf(module: string): Promise<string> {
    if (/\/blobs\/sha256\/[a-f0-9]{64}$/.test(module)) return basename(module);
    const { ino, size, mtimeNs, ctimeNs } = await stat(module, { bigint: true });
    const mark = `${module} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    const known = this.#digests.get(mark);
    if (known !== undefined) return known;
    const hash = createHash("sha256");
    for await (const piece of createReadStream(module, { highWaterMark: 1024 * 1024 })) hash.update(piece as Buffer);
    const digest = hash.digest("hex");
    const oldest = this.#digests.size < REMEMBERED_DIGESTS ? undefined : this.#digests.keys().next().value;
    if (oldest !== undefined) this.#digests.delete(oldest);
    this.#digests.set(mark, digest);
    return digest;
  }
}
