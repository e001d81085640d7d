#!/bin/sh
# The quickstart's last part: a whole machine. Makes a small disk (once, kept in the cache), imports it as an image and boots it; where that cannot be
# had, says why.
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh
. scripts/packages.sh

name=quickstart-machine
install_packages "a disk to boot" syslinux mtools dosfstools cpio || { warn "no disk to boot can be made here"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"; bin/bulkhead rm -f "$name" >/dev/null 2>&1 || true' EXIT
trap 'exit 130' INT TERM
sh scripts/fixtures/boot-disk.sh "$work/small.raw" || { warn "no disk to boot could be made here"; exit 0; }
show() { printf '$ bulkhead'; printf ' %s' "$@"; printf '\n'; }
show import --disk small.raw small-machine
bin/bulkhead import --disk "$work/small.raw" small-machine
show run -d --name "$name" --isolation vm small-machine
bin/bulkhead rm -f "$name" >/dev/null 2>&1 || true
bin/bulkhead run -d --name "$name" --isolation vm small-machine || { warn "no whole machine on this host: see the doctor's findings above"; exit 0; }
show logs "$name"
waited=0
until bin/bulkhead logs "$name" 2>/dev/null | grep -a '^boot .* processors'; do
  waited=$((waited + 1))
  [ "$waited" -lt 120 ] || { warn "its system said nothing within a minute: bin/bulkhead logs $name"; trap 'rm -rf "$work"' EXIT; exit 0; }
  sleep 0.5
done
show stop "$name"
bin/bulkhead stop "$name" >/dev/null
bin/bulkhead logs --tail 3 "$name" | grep -ao 'power button' || true
