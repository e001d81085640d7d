#!/bin/sh
# Everything that a machine boots from, for this checkout: Debian's kernel now, our own small one in the background, the
# initrd for whichever is there. Called by set-up; quick when everything is there.
#
#     scripts/kernel/prepare.sh [CACHE]        default /var/cache/bulkhead/kernel
#     BULKHEAD_NO_KERNEL_BUILD=1               do not build our own
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../builds.sh"
cache=${1:-/var/cache/bulkhead/kernel}
guests=$(ls "$here"/../../dist/native/bulkhead-guest "$here"/../../native/target/*-linux-*/release/bulkhead-guest 2>/dev/null || true)
[ -n "$guests" ] || { echo "kernel: the guest's init is not built; run npm run build" >&2; exit 69; }

if own=$(ls -d "$cache"/own-*/vmlinux 2>/dev/null | head -1) && [ -n "$own" ]; then
  :
elif [ -z "${BULKHEAD_NO_KERNEL_BUILD:-}" ]; then
  mkdir -p "$cache"
  if [ -n "$(running_builds "$cache")" ]; then
    echo "kernel: our own is being built in the background; what it says is in $cache/build.log" >&2
  elif sh "$here/build.sh" --check "$cache"; then
    # It yields to everything: the first result must not wait.
    begin_build "$cache" "${here%/scripts/kernel}" sh -c 'here=$1 && own=$(sh "$here/build.sh" "$2") && shift 2 && for guest; do sh "$here/initrd.sh" "$guest" "$(dirname "$own")"; done' - "$here" "$cache" $guests
    echo "kernel: building our own in the background (minutes); what it says is in $cache/build.log" >&2
  else
    echo "kernel: machines boot the distribution's own until then: it starts more slowly, and nothing else changes" >&2
  fi
fi
debian=$(sh "$here/debian.sh" "$cache") || debian=''
for kernel in "$cache"/own-* $debian; do
  [ -f "$kernel/vmlinux" ] || continue
  for guest in $guests; do sh "$here/initrd.sh" "$guest" "$kernel"; done
done
