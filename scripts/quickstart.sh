#!/bin/sh
# From a fresh clone to the main job: installs, builds, starts the daemon, and measures what each boundary costs here.
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh

[ "$(id -u)" = 0 ] || die "the quickstart installs packages and starts a daemon: it must be root" "sudo npm run quickstart"
sh scripts/setup.sh
. scripts/daemon.sh
start_daemon
load_embedded_image

step "What this host can do (bulkhead doctor)"
bin/bulkhead doctor || true

step "One image as a container, and in a machine of its own"
printf '$ bulkhead run --rm busybox uname -r\n'
bin/bulkhead run --rm busybox uname -r
printf '$ bulkhead run --rm --isolation microvm busybox uname -r\n'
bin/bulkhead run --rm --isolation microvm busybox uname -r || warn "no machine on this host: see the doctor's findings above"

step "What each boundary costs on this host (bulkhead compare --brief)"
bin/bulkhead compare --brief busybox

step "The textbooks' machine: firmware, a disk of its own, an operating system (bulkhead run --isolation vm)"
sh scripts/quickstart-machine.sh

cat <<END

The daemon goes on running. Try:
  bin/bulkhead compare                 more samples, processor and system calls, and the raw mechanisms beneath
  bin/bulkhead run --rm -it busybox sh
  bin/bulkhead run --rm --isolation microvm -it busybox sh
  docker -H unix:///run/bulkhead/bulkhead.sock run --rm --runtime microvm busybox uname -r
Stop the daemon, and remove its workloads and images: bin/bulkhead system reset --stop
Take everything away again: npm run uninstall
END
