/**
 * The rules of the house that no linter knows: sizes of files, names of boundaries, what documents and lock files may say.
 * Prints each breach with its place; exit 1 when there is one.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const MAX_LINES = 400;
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { encoding: "utf8" }).trim().split("\n");
const breaches: string[] = [];
const sizes: number[] = [];

for (const file of files) {
  if (!/\.(ts|rs|c|sh|mjs)$/.test(file)) continue;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    continue; // deleted, not yet committed
  }
  const lines = text.split("\n");
  sizes.push(lines.length);
  if (lines.length > MAX_LINES + 1) breaches.push(`${file}: ${lines.length} lines, at most ${MAX_LINES}`);
  const isTest = /\.test\.ts$|testkit|^test\//.test(file);
  lines.forEach((line, index) => {
    const place = `${file}:${index + 1}`;
    if (
      file.startsWith("src/") &&
      !isTest &&
      !/^src\/(drivers\/|daemon\/main\.ts)/.test(file) &&
      /[!=]== *["'](microvm|gvisor|container|wasm|vm)["']/.test(line)
    )
      breaches.push(`${place}: compares with a boundary's name; ask for a trait`);
    if (file.endsWith(".ts") && /@ts-(ignore|nocheck|expect-error)|\bas any\b/.test(line) && file !== "scripts/house-rules.ts")
      breaches.push(`${place}: silences the type checker`);
    if (/\b(it|test|describe)\.(only|todo)\b/.test(line)) breaches.push(`${place}: a test that hides others`);
  });
  const name = file.split("/").at(-1) ?? "";
  if (/^(utils?|helpers?|common|types)\.(ts|rs)$/.test(name)) breaches.push(`${file}: a name that says nothing`);
}

const lock = readFileSync("package-lock.json", "utf8");
if (/"resolved": *"https?:/.test(lock)) breaches.push("package-lock.json: records download addresses");

sizes.sort((a, b) => a - b);
const at = (share: number) => sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * share))];
console.log(`${sizes.length} source files; lines: median ${at(0.5)}, 95th percentile ${at(0.95)}, longest ${sizes.at(-1)}`);
for (const breach of breaches) console.log(breach);
process.exitCode = breaches.length > 0 ? 1 : 0;
