# The driver's own suites, on control groups v2, their launchers started from our unit as it is installed. Sourced by inside.sh.

# Nothing of the unit is changed but the root, which each suite has its own of.
suite_unit() {
  unit=/etc/systemd/system/bulkhead-launcher.service
  [ -e "$unit" ] || sh scripts/install.sh >/dev/null || return 1
  sed 's| --root .*| --root /tmp/%i --run /tmp/%i/run --socket /tmp/%i/run/launcher.sock|' "$unit" >/run/systemd/system/bulkhead-suite@.service
  systemctl daemon-reload
  expect 1 "$(grep -c 'ExecStart=/usr/lib/bulkhead/bulkhead-launcher --root /tmp/%i' /run/systemd/system/bulkhead-suite@.service)" || return 1
  contains "$(systemctl show -p Delegate,KillMode bulkhead-suite@x)" "Delegate=yes"
}
suite() {
  # Emulated, and beside another launcher: everything takes longer, and nothing else changes.
  BULKHEAD_TEST_UNIT=bulkhead-suite node_modules/.bin/node node_modules/vitest/vitest.mjs run --project integration --testTimeout=240000 --reporter=json --outputFile="/scratch/$1.json" "test/integration/$1.test.ts" >"/scratch/$1.log" 2>&1
  [ -s "/scratch/$1.json" ] || { echo "FAILED $1 could not be run"; tail -30 "/scratch/$1.log" | sed 's/^/# | /'; return; }
  node_modules/.bin/node "$checks/suite-verdicts.mjs" "/scratch/$1.json"
}
launched_by_unit() {
  [ "$(journalctl -u 'bulkhead-suite@*' -o cat | grep -c Started)" -ge 2 ] || { journalctl -u 'bulkhead-suite@*' --no-pager | tail -20; return 1; }
}
check "a unit for the suites differs from ours in its root alone" suite_unit
suite container-conformance
suite container-guards
check "the suites' launchers were started by systemd" launched_by_unit
