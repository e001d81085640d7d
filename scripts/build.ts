/**
 * Builds what is out of date into dist/: cli.cjs, daemon.js and bench.js by esbuild, the native programs by cargo.
 *
 *     node scripts/build.ts [--js] [--native] [--force]
 *
 * A target is up to date when the hash of its sources is the one that stands beside it. Every file appears by rename:
 * a program that runs keeps its old one, and a build that is cut leaves nothing half-written.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { BUNDLES, buildBundle } from "./bundles.ts";

const root = resolve(import.meta.dirname, "..");
const dist = join(root, "dist");
const asked = new Set(process.argv.slice(2));
const everything = !asked.has("--js") && !asked.has("--native");

function say(line: string): void {
  process.stdout.write(`build: ${line}\n`);
}

function* filesBelow(path: string): Generator<string> {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) {
    yield path;
    return;
  }
  for (const entry of readdirSync(path).sort()) if (entry !== "target" && entry !== "node_modules") yield* filesBelow(join(path, entry));
}

function hashOf(paths: readonly string[], salt: string): string {
  const hash = createHash("sha256").update(salt);
  for (const path of paths) {
    for (const file of filesBelow(join(root, path))) {
      if (file.endsWith(".test.ts")) continue;
      hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
    }
  }
  return hash.digest("hex");
}

/** Runs `make` unless the outputs stand and were made from the same sources. */
async function target(name: string, hash: string, outputs: () => readonly string[], make: () => Promise<void> | void): Promise<void> {
  const stamp = join(dist, ".stamps", name);
  const fresh = existsSync(stamp) && readFileSync(stamp, "utf8") === hash && outputs().length > 0 && outputs().every((path) => existsSync(path));
  if (fresh && !asked.has("--force")) {
    say(`${name} is up to date`);
    return;
  }
  const began = performance.now();
  await make();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
  say(`${name} built in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

function place(temporary: string, final: string): void {
  mkdirSync(dirname(final), { recursive: true });
  renameSync(temporary, final);
}

async function buildScripts(): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const lock = existsSync(join(root, "package-lock.json")) ? ["package-lock.json"] : [];
  for (const bundle of BUNDLES) {
    if (!existsSync(join(root, bundle.entry))) {
      say(`${bundle.name} skipped: ${bundle.entry} is not there`);
      continue;
    }
    const hash = hashOf([...bundle.sources, "scripts/bundles.ts", "package.json", ...lock], bundle.name);
    const output = join(dist, bundle.output);
    await target(
      bundle.name,
      hash,
      () => [output],
      () => buildBundle(bundle, { directory: dist, version: manifest.version }),
    );
  }
}

interface CargoMessage {
  readonly reason: string;
  readonly executable?: string | null;
  readonly target?: { readonly kind: readonly string[] };
}

/** Builds the whole workspace for this machine's own processor and copies its programs to dist/native. */
function buildNative(): void {
  const triple = `${process.arch === "arm64" ? "aarch64" : "x86_64"}-unknown-linux-gnu`;
  const cargo =
    [process.env["CARGO"], join(process.env["HOME"] ?? "/root", ".cargo/bin/cargo")].find((path) => path !== undefined && existsSync(path)) ?? "cargo";
  const result = spawnSync(cargo, ["build", "--release", "--workspace", "--bins", "--target", triple, "--message-format=json-render-diagnostics"], {
    cwd: join(root, "native"),
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 256 * 1024 * 1024,
    encoding: "utf8",
  });
  if (result.error !== undefined) throw new Error(`cargo cannot be run (${result.error.message}). Remedy: sh scripts/setup.sh`);
  if (result.status !== 0) throw new Error(`cargo build failed with exit code ${result.status}`);
  const made: string[] = [];
  for (const line of result.stdout.split("\n")) {
    if (!line.startsWith("{")) continue;
    const message = JSON.parse(line) as CargoMessage;
    if (message.reason !== "compiler-artifact" || typeof message.executable !== "string" || !message.target?.kind.includes("bin")) continue;
    const name = basename(message.executable);
    const temporary = join(dist, "native", `.${name}.${process.pid}`);
    mkdirSync(dirname(temporary), { recursive: true });
    copyFileSync(message.executable, temporary);
    chmodSync(temporary, 0o755);
    place(temporary, join(dist, "native", name));
    made.push(name);
  }
  writeFileSync(join(dist, ".stamps-native"), made.join("\n"));
  for (const old of existsSync(join(dist, "native")) ? readdirSync(join(dist, "native")) : []) {
    if (old.startsWith(".")) rmSync(join(dist, "native", old));
  }
}

/** The wasm runner is not among them: it takes minutes and has a cache of its own (scripts/wasm-runner.sh). */
function nativeSources(): readonly string[] {
  const parts = readdirSync(join(root, "native")).filter((name) => name !== "wasm" && name !== "target");
  return parts.sort().map((name) => join("native", name));
}

function nativeOutputs(): readonly string[] {
  const list = join(dist, ".stamps-native");
  if (!existsSync(list)) return [];
  return readFileSync(list, "utf8")
    .split("\n")
    .filter((name) => name !== "")
    .map((name) => join(dist, "native", name));
}

try {
  mkdirSync(dist, { recursive: true });
  if (everything || asked.has("--js")) await buildScripts();
  if (everything || asked.has("--native")) {
    if (existsSync(join(root, "native/Cargo.toml"))) await target("native", hashOf(nativeSources(), process.arch), nativeOutputs, buildNative);
    else say("native programs skipped: native/Cargo.toml is not there");
  }
} catch (thrown) {
  process.stderr.write(`build: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
