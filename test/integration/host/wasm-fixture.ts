/** Programs for the wasm boundary: C sources of this checkout, compiled for WASI by Debian's clang. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Vocabulary } from "../../../src/contract/testkit/vocabulary.ts";

const SOURCES = join(import.meta.dirname, "../../fixtures/wasm");
const MODULE = "/bin/vocabulary.wasm";

/** The module's path; or why this host cannot make one. */
export function compileFixture(name: string, directory: string): string | { readonly unavailable: string } {
  const module = join(directory, `${name}.wasm`);
  const made = spawnSync("clang", ["--target=wasm32-wasi", "-O1", "-o", module, join(SOURCES, `${name}.c`)], { encoding: "utf8" });
  if (made.error !== undefined) return { unavailable: "clang is not installed (clang lld wasi-libc libclang-rt-dev-wasm32)" };
  if (made.status !== 0) throw new Error(made.stderr);
  return module;
}

const say = (...words: readonly string[]) => [MODULE, ...words];
const absent = (): never => {
  throw new Error("the case needs a kernel");
};

/** Words of test/fixtures/wasm/vocabulary.c. */
export const wasmVocabulary: Vocabulary = {
  print: (stream, text) => say("print", stream, Buffer.from(text, "latin1").toString("hex")),
  exit: (code) => say("exit", String(code)),
  sleep: (seconds) => say("sleep", String(seconds)),
  cat: () => say("cat"),
  count: () => say("count"),
  spew: (bytes) => say("spew", String(bytes)),
  tick: (count, ms) => say("tick", String(count), String(ms)),
  environment: () => say("environment"),
  read: (path) => say("read", path),
  write: (path, text) => say("write", path, text),
  fill: (path, bytes) => say("fill", path, String(bytes)),
  hog: () => say("hog"),
  notExecutable: () => ["/etc/passwd"],
  trap: absent,
  ignore: absent,
  directory: absent,
  user: absent,
  hostname: absent,
  kernel: absent,
  random: absent,
  terminal: absent,
  size: absent,
  forks: absent,
};
