#!/bin/sh
# Every test, from a fresh clone: sets up, checks, runs the native tests, then the real boundaries on this host.
# Ends with one line, "N passed, N failed", and exits accordingly.
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh
# The tests run on Debian's kernel where our own is not there yet: building it would take the cores from under them.
export BULKHEAD_NO_KERNEL_BUILD=1
sh scripts/setup.sh --tests
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0

step "Format, lint, types, layers, dead code, unit tests"
BULKHEAD_UNIT_RESULTS="$results/unit.json" sh scripts/check.sh || failed=1

step "Native unit tests"
(cd native && cargo test --quiet 2>&1) | tee "$results/cargo.txt" | grep -vE '^(running|\.+$|$)' || true
grep -q '^test result' "$results/cargo.txt" || failed=1
grep -qE '^test result: FAILED|^error' "$results/cargo.txt" && failed=1

step "The wasm runner (compiled behind the unit tests)"
sh scripts/wasm-runner.sh || warn "no wasm runner: the tests of that boundary say so"

if [ "$(id -u)" = 0 ]; then
  step "Integration: real engines, real registries, real clients"
  vitest run --project integration --reporter=default --reporter=json --outputFile.json="$results/integration.json" || failed=1
else
  warn "not root: the integration tests need namespaces and mounts; only unit tests are run"
fi

node scripts/test-summary.ts "$results" || failed=1
exit "$failed"
