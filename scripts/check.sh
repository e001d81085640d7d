#!/bin/sh
# Format, lint, types, layers, dead code, sizes, unit tests: everything that needs no privilege. Under a minute: the unit tests run beside the rest.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
export PATH NO_COLOR=1
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT

step() {
  name=$1
  shift
  began=$(date +%s)
  if output=$("$@" 2>&1); then
    printf 'ok    %-12s %ss\n' "$name" "$(($(date +%s) - began))"
  else
    printf 'FAIL  %-12s %ss\n%s\n' "$name" "$(($(date +%s) - began))" "$output"
    printf ' %s' "$name" >>"$failed"
  fi
}

# Whoever adds up results (scripts/test.sh) names the file for those of the unit tests.
step unit vitest run --project unit --maxWorkers=2 --reporter=dot ${BULKHEAD_UNIT_RESULTS:+--reporter=json --outputFile.json="$BULKHEAD_UNIT_RESULTS"} &
step types tsc -p .
step format biome check .
step lint oxlint --type-aware --quiet
step layers depcruise --config .dependency-cruiser.mjs src sdk/src bench
step dead-code knip --no-progress
step house node scripts/house-rules.ts
wait

if [ -s "$failed" ]; then
  printf '\nFailed:%s\n' "$(cat "$failed")"
  exit 1
fi
