#!/bin/sh
# What is run before anything is called done, beyond `npm test`: hosts of another kind, and long runs. Each step keeps its last result in
# docs/series. Goes on after a failed step; exits 1 where one failed.
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh
[ "$(id -u)" = 0 ] || die "these tests need root" "sudo npm run test:full"
sh scripts/setup.sh --tests
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
failed=0

step "A Debian under systemd with control groups v2 and AppArmor, emulated (about 8 minutes on an idle host)"
node test/full/machine/run.ts --keep docs/series/test-full-v2.txt || failed=1

step "The container driver's conformance on runc, as on a host without crun"
BULKHEAD_TEST_RUNTIME=runc vitest run --project integration test/integration/container-conformance.test.ts || failed=1

step "Every point of the tables of kills"
BULKHEAD_FULL=1 vitest run --project integration test/integration/engine-kill || failed=1

step "Debian, python and node behind every boundary beside the plain host"
BULKHEAD_FULL=1 vitest run --project integration test/differential/real-images.test.ts || failed=1

step "300 kills of the daemon at random times under load"
node test/chaos/random-kills.ts --kills 300 --out docs/series/random-kills.json || failed=1

exit "$failed"
