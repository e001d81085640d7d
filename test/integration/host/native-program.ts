/** The native programs of this checkout, as built. */

import { existsSync } from "node:fs";
import { join } from "node:path";

const checkout = join(import.meta.dirname, "../../..");
const folders = [join(checkout, "dist/native"), join(checkout, `native/target/${process.arch === "arm64" ? "aarch64" : "x86_64"}-unknown-linux-gnu/release`)];

export function findNativeProgram(name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
