/** Adds up what the test runners wrote below a directory and prints the closing line. Exit 1 where something failed or nothing ran. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const directory = process.argv[2] ?? ".";
let passed = 0;
let failed = 0;
let skipped = 0;

interface VitestResults {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

const expected = process.getuid?.() === 0 ? ["unit.json", "integration.json"] : ["unit.json"];
for (const name of expected) {
  try {
    const vitest = JSON.parse(readFileSync(join(directory, name), "utf8")) as VitestResults;
    passed += vitest.numPassedTests;
    // A file that cannot even be read as a test has no test of its own to count.
    failed += vitest.numFailedTests + vitest.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
    skipped += vitest.numPendingTests;
  } catch (error) {
    console.error(`there is no result in ${name}: ${String(error)}`);
    failed += 1;
  }
}

for (const match of readFileSync(join(directory, "cargo.txt"), "utf8").matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
  passed += Number(match[1]);
  failed += Number(match[2]);
  skipped += Number(match[3]);
}

console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
