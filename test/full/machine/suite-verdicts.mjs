// Prints one verdict per test of a vitest JSON report.
import { readFileSync } from "node:fs";

const { testResults } = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const { assertionResults, message, name } of testResults) {
  if (assertionResults.length === 0) console.log(`FAILED ${name}\n# | ${message.replaceAll("\n", "\n# | ")}`);
  for (const { fullName, status, failureMessages, duration } of assertionResults) {
    if (status === "passed") console.log(`ok ${fullName} (${(duration / 1000).toFixed(1)} s)`);
    else if (status === "failed") console.log(`FAILED ${fullName}\n# | ${failureMessages.join("\n").split("\n").slice(0, 12).join("\n# | ")}`);
    else console.log(`# skipped: ${fullName}`);
  }
}
