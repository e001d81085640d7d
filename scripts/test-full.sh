#!/bin/sh
# What is run before anything is called done, beyond `npm test`: hosts of another kind, sudden death at every step and at random times,
# long fuzzing. Goes on after a part that fails, says so at the end, and exits 1. The last results are kept in docs/series: test-full.txt
# (all parts), test-full-v2.txt (each check of the machine), random-kills.json (each kill).
#
#     npm run test:full                     everything: an hour on two cores
#     sh scripts/test-full.sh PART...       only these: machine disk runc images seccomp tables security kills fill choose fuzz; what is kept of the others stays, with its commit
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh
[ "$(id -u)" = 0 ] || die "these tests need root" "sudo npm run test:full"
parts=" ${*:-machine disk runc images seccomp tables security kills fill choose fuzz} "
for part in $parts; do
  case $part in machine | disk | runc | images | seccomp | tables | security | kills | fill | choose | fuzz) ;; *) die "there is no part $part" "sh scripts/test-full.sh machine disk runc images seccomp tables security kills fill choose fuzz" ;; esac
done
sh scripts/setup.sh --tests
PATH="$PWD/node_modules/.bin:$PATH"
export PATH NO_COLOR=1
results=$(mktemp -d)
kept=docs/series/test-full.txt
trap 'rm -rf "$results"' EXIT
failed=0
commit=$(git describe --always --dirty=', with changes' 2>/dev/null || echo unknown)

# run PART "title" PATTERN COMMAND...: its verdict, and the last line of its output that has the pattern.
run() {
  part=$1 title=$2 pattern=$3
  shift 3
  case $parts in *" $part "*) ;; *)
    grep -F -- " $title: " "$kept" >>"$results/summary" 2>/dev/null || printf 'not run   %s\n' "$title" >>"$results/summary"
    return 0
    ;;
  esac
  step "$title"
  from=$(date +%s)
  echo FAILED >"$results/verdict"
  { "$@" 2>&1 && echo passed >"$results/verdict"; } | tee "$results/log" || true
  verdict=$(cat "$results/verdict")
  [ "$verdict" = passed ] || failed=1
  said=$(grep -E "$pattern" "$results/log" | tail -1 | sed 's/^ *//')
  printf '%-9s %s: %s (%s s; %s, commit %s)\n' "$verdict" "$title" "${said:-no result}" "$(($(date +%s) - from))" "$(date -u +%Y-%m-%dT%H:%MZ)" "$commit" >>"$results/summary"
}
on_runc() { BULKHEAD_TEST_RUNTIME=runc vitest run --project integration test/integration/container-conformance.test.ts test/integration/container-guards.test.ts; }
whole() { BULKHEAD_FULL=1 vitest run --project integration "$1"; }
fuzz() {
  # A seed of its own each time, told so that it can be had again; never 0, which random numbers of this kind stay at.
  export BULKHEAD_FUZZ_ROUNDS=100000 BULKHEAD_FUZZ_SEED="$(($(date +%s) | 1))"
  for target in "bulkhead-wire random_bytes" "bulkhead-machine random_words" "bulkhead-share random_requests" "bulkhead-unpack damaged_archives" "bulkhead-files damaged_archives"; do
    (cd native && cargo test --release --quiet -p "${target% *}" "${target#* }") || return 1
  done
  echo "$BULKHEAD_FUZZ_ROUNDS rounds each on frames, a guest's words, a guest's file requests and archives, seed $BULKHEAD_FUZZ_SEED"
}

run machine "An emulated Debian under systemd, with control groups v2 and AppArmor" "passed, .* failed" \
  node test/full/machine/run.ts --keep docs/series/test-full-v2.txt
run disk "A Debian with systemd on a disk of its own, behind vm" "Tests  " whole test/full/debian-disk.test.ts
run runc "The container driver's conformance on runc, as on a host without crun" "Tests  " on_runc
run images "Debian, python and node behind every boundary beside the plain host" "Tests  " whole test/differential/real-images.test.ts
run seccomp "Docker's default seccomp profile beside its newest source" "Tests  " whole test/full/seccomp-source.test.ts
run tables "SIGKILL to the daemon at each point of its work with containers" "Tests  " whole test/integration/engine-kill.test.ts
run tables "SIGKILL to the daemon at each point of its work with machines" "Tests  " whole test/integration/engine-kill-machines.test.ts
run security "Attempts to leave a workload and to take more than one's share, behind every boundary" "Tests  " whole test/security
run kills "300 kills of the daemon at random times under load" "kills, .* left over" \
  node test/chaos/random-kills.ts --kills 300 --out docs/series/random-kills.json
run fill "What a plan says of this host, and a real fill-up" "Tests  " whole test/integration/plan-fill.test.ts
run choose "Disk and network of every boundary, measured" "Tests  " whole test/integration/compare-io.test.ts
run choose "What is chosen by: a comparison with the raw mechanisms beneath, and what the guide measures" "Tests  " whole test/full/choose
run fuzz "Long fuzzing of what strangers' bytes are read by" "rounds each" fuzz

mkdir -p docs/series
{
  echo "npm run test:full, Linux $(uname -r), $(nproc) processors; each part with the time and the commit of its last run"
  cat "$results/summary"
} >"$results/whole"
mv "$results/whole" "$kept"
step "Summary, kept in docs/series/test-full.txt"
cat "$kept"
exit "$failed"
