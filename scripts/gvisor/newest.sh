#!/bin/sh
# Builds a gVisor that is newer than the distribution's, from its Go module, and puts it where it is found first: /usr/local/bin/runsc, a
# link into the cache. Version and checksum are pinned; Go itself compares every module with its own database of checksums too.
#
#     scripts/gvisor/newest.sh [CACHE]         default /var/cache/bulkhead/gvisor
set -eu
cd "$(dirname "$0")/../.."
. scripts/say.sh

version=v0.0.0-20260905035102-160fafc42237
name=release-20260905.0
sum=h1:AU5+CtCvnBnxdZRNcZt1NfSLqgkXZVT3N/u6u1aXg44=
cache=${1:-/var/cache/bulkhead/gvisor}
link=/usr/local/bin/runsc

go=$(command -v go || { [ -x /usr/local/go/bin/go ] && echo /usr/local/go/bin/go; }) || die "gVisor is built with Go, which is not here" "install Go 1.24 or newer from go.dev, or take an official release: gvisor.dev/docs/user_guide/install"
[ "$(id -u)" = 0 ] || die "$link is root's to make" "run this as root"
if [ -e "$link" ] && [ ! -L "$link" ]; then die "$link is there and not ours" "remove it, if this one is to be used instead"; fi

if [ ! -x "$cache/$name/runsc" ]; then
  step "Building gVisor $name (some minutes)"
  work=$(mktemp -d)
  # Go keeps its modules read-only.
  trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
  export GOMODCACHE="$work/modules" GOCACHE="$work/cache" GOBIN="$work/bin" CGO_ENABLED=0 GOFLAGS=
  found=$(cd "$work" && "$go" mod download -json "gvisor.dev/gvisor@$version" | sed -n 's/^[[:space:]]*"Sum": "\(.*\)",*$/\1/p') || found=''
  [ "$found" = "$sum" ] || die "gVisor's module could not be had, or its checksum is not the pinned one (${found:-none})" "look at: $go mod download gvisor.dev/gvisor@$version"
  (cd "$work" && nice -n 10 "$go" install -trimpath -ldflags "-s -w -X gvisor.dev/gvisor/runsc/version.version=$name" "gvisor.dev/gvisor/runsc@$version")
  mkdir -p "$cache/$name"
  install -m 755 "$work/bin/runsc" "$cache/$name/runsc.new"
  mv "$cache/$name/runsc.new" "$cache/$name/runsc"
fi
ln -sfn "$cache/$name/runsc" "$link"
step "$("$link" --version | head -1) is at $link; the daemon takes it at its next probe (bulkhead doctor)"
