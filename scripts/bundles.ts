/** What is bundled for JavaScript, and how. */

import { renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "..");

export interface Bundle {
  readonly name: string;
  readonly entry: string;
  readonly output: string;
  readonly format: "cjs" | "esm";
  /** Modules that stay outside, and the built file that stands for each. */
  readonly apart?: Readonly<Record<string, string>>;
  readonly sources: readonly string[];
}

// The CLI is CommonJS because Node starts such a file a millisecond sooner, and in two parts because its quickest answers
// need little: together these are a fifth of the time that `bulkhead version` takes.
export const BUNDLES: readonly Bundle[] = [
  {
    name: "cli-program",
    entry: "src/cli/program.ts",
    output: "cli-program.cjs",
    format: "cjs",
    sources: ["src/cli", "sdk/src"],
    apart: { "./yaml.ts": "./cli-yaml.cjs" },
  },
  { name: "cli-yaml", entry: "src/cli/advice/yaml.ts", output: "cli-yaml.cjs", format: "cjs", sources: ["src/cli"] },
  { name: "cli", entry: "src/cli/main.ts", output: "cli.cjs", format: "cjs", sources: ["src/cli", "sdk/src"], apart: { "./program.ts": "./cli-program.cjs" } },
  { name: "daemon", entry: "src/daemon/main.ts", output: "daemon.js", format: "esm", sources: ["src"] },
  { name: "bench", entry: "bench/main.ts", output: "bench.js", format: "esm", sources: ["bench", "sdk/src", "src/host", "src/contract"] },
];

/** Writes the bundle into the directory, by rename. */
export async function buildBundle(bundle: Bundle, into: { readonly directory: string; readonly version: string }): Promise<void> {
  const temporary = join(into.directory, `.${bundle.output}.${process.pid}`);
  await build({
    entryPoints: [join(root, bundle.entry)],
    outfile: temporary,
    bundle: true,
    platform: "node",
    target: "node22.15",
    format: bundle.format,
    minifySyntax: true,
    // Comments go: one letter beyond Latin-1 in one of them, and V8 keeps the whole text in two bytes a letter. Lines stay short enough for traces.
    minifyWhitespace: true,
    lineLimit: 160,
    keepNames: false,
    legalComments: "none",
    logLevel: "warning",
    define: { BULKHEAD_VERSION: JSON.stringify(into.version), ...(bundle.format === "cjs" ? { "import.meta.dirname": "__dirname" } : {}) },
    // `require` instead of `import()`: the loader of ES modules is not started for one file.
    ...(bundle.format === "cjs" ? { supported: { "dynamic-import": false } } : {}),
    plugins: [
      {
        name: "apart",
        setup(resolver) {
          resolver.onResolve({ filter: /^\./ }, ({ path }) => {
            const built = bundle.apart?.[path];
            return built === undefined ? undefined : { path: built, external: true };
          });
        },
      },
    ],
    // CommonJS packages inside an ESM bundle still call `require` for Node's own modules.
    ...(bundle.format === "esm"
      ? { banner: { js: 'import { createRequire as bundledRequire } from "node:module"; const require = bundledRequire(import.meta.url);' } }
      : {}),
  });
  renameSync(temporary, join(into.directory, bundle.output));
}
