# The driver's own suites, on control groups v2, with a launcher of their own. Sourced by inside.sh.

suite() {
  # Emulated, and beside another launcher: everything takes longer, and nothing else changes.
  node_modules/.bin/node node_modules/vitest/vitest.mjs run --project integration --testTimeout=240000 --reporter=json --outputFile="/scratch/$1.json" "test/integration/$1.test.ts" >"/scratch/$1.log" 2>&1
  [ -s "/scratch/$1.json" ] || { echo "FAILED $1 could not be run"; tail -30 "/scratch/$1.log" | sed 's/^/# | /'; return; }
  node_modules/.bin/node "$checks/suite-verdicts.mjs" "/scratch/$1.json"
}
suite container-conformance
suite container-guards
