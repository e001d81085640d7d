#!/bin/sh
# Builds the small guest kernel from Debian's kernel source and leaves it in the cache, once per configuration.
#
#     scripts/kernel/build.sh [CACHE]             default /var/cache/bulkhead/kernel
#     scripts/kernel/build.sh --check [CACHE]     only whether it can: exit 69 where not, with a line that says why
#     scripts/kernel/build.sh --packages          the Debian packages that building needs; exit 69 where there is no source to build
#
# Prints the path of `vmlinux`. Takes some minutes of every core the first time, so whoever calls it runs it in the background;
# nothing waits for it: until it is there machines boot Debian's own kernel (debian.sh). Why it could not be built stands in
# CACHE/not-built for whoever is asked (`bulkhead doctor`): a line that says why; a line with the command that mends it, or nothing; and
# `impossible` where nothing on this host does.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
package=linux-source-6.1
packages="make gcc libc6-dev flex bison bc libelf-dev xz-utils"

# What the source is called where it is not the one for which machine.config was made: its names for the guards are others there.
other_source() { apt-cache depends linux-source 2>/dev/null | awk '/Depends: linux-source-[0-9]/ {print $2; exit}'; }

# Sets why: empty where there is a source to build from; else mend, where a command may bring one.
look_for_source() {
  why='' mend=''
  if [ "$(uname -m)" != x86_64 ]; then
    why="our own guest kernel is made for x86_64 only"
  elif [ -z "$version" ] || [ "$version" = "(none)" ]; then
    other=$(other_source)
    why="our own guest kernel is made from $package (Debian 12), which this host's package lists do not have${other:+; $other is not known to do}"
    # Lists that know no kernel's source at all were never fetched.
    if [ -z "$other" ] && command -v apt-get >/dev/null; then mend="apt-get update"; fi
  fi
}

lacking_tools() {
  for tool in make gcc flex bison bc xz; do command -v "$tool" >/dev/null || printf '%s ' "$tool"; done
  if command -v gcc >/dev/null; then
    for header in stdlib.h gelf.h; do echo "#include <$header>" | gcc -E -x c -o /dev/null - 2>/dev/null || printf '%s ' "$header"; done
  fi
}

# note_down WHY [COMMAND] [impossible]
note_down() { if [ -d "$cache" ] && [ -w "$cache" ]; then printf '%s\n' "$1" "${2:-}" "${3:-}" >"$cache/not-built"; fi; }
refuse() {
  note_down "$@"
  echo "kernel: $1${2:+: $2}" >&2
  exit 69
}

asked=
case ${1:-} in --check | --packages) asked=$1 && shift ;; esac
cache=${1:-/var/cache/bulkhead/kernel}
version=$(apt-cache policy "$package" 2>/dev/null | awk '/Candidate:/ {print $2}')
look_for_source
if [ "$asked" = --packages ]; then
  [ -z "$why" ] || { echo "kernel: $why" >&2; exit 69; }
  echo "$packages"
  exit 0
fi
if [ -n "$why" ]; then
  if [ -n "$mend" ]; then refuse "$why" "$mend"; else refuse "$why" "" impossible; fi
fi
key=$( { cat "$here/machine.config"; echo "$version"; uname -m; } | sha256sum | cut -c1-16)
target=$cache/own-$key
if [ -f "$target/vmlinux" ]; then
  rm -f "$cache/not-built"
  [ -n "$asked" ] || echo "$target/vmlinux"
  exit 0
fi
lacking=$(lacking_tools)
[ -z "$lacking" ] || refuse "building our own guest kernel needs ${lacking% }" "apt-get install --no-install-recommends $packages"
[ -z "$asked" ] || exit 0

mkdir -p "$cache"
exec 9>"$cache/.build-lock"
flock 9
if [ -f "$target/vmlinux" ]; then echo "$target/vmlinux"; exit 0; fi

# What builds left that were killed, or that the power left: whoever has the lock is alone here.
rm -rf "$cache"/build-??????
work=$(mktemp -d "$cache/build-XXXXXX")
finish() {
  status=$?
  rm -rf "$work"
  # Ended by somebody is no reason that anybody need be told.
  case $status in 0 | 130) ;; *) note_down "building it failed, and the end of $cache/build.log says why" ;; esac
}
trap finish EXIT
trap 'exit 130' HUP INT TERM
chmod 755 "$work"
cd "$work"
# apt drops to its own user to download, which may not write here; that only earns a warning.
apt-get download -q "$package=$version" >&2
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -xO ./usr/src/"$package".tar.xz | xz -dc -T0 | tar -x
rm -f "$package"_*.deb
cd "$package"
# Debian's tree signs modules and names its builds; a kernel without modules needs neither.
make -s KCONFIG_ALLCONFIG="$here/machine.config" allnoconfig >&2
missing=$(grep -E '^CONFIG_.*=y' "$here/machine.config" | while read -r line; do grep -qx "$line" .config || echo "$line"; done)
if [ -n "$missing" ]; then echo "kernel: the source knows nothing of:" $missing >&2; fi
make -s -j"$(nproc)" KBUILD_BUILD_USER=bulkhead KBUILD_BUILD_HOST=bulkhead KBUILD_BUILD_TIMESTAMP=1970-01-01 LOCALVERSION=-bulkhead vmlinux >&2
mkdir -p "$work/out"
strip -s -o "$work/out/vmlinux" vmlinux
cp .config "$work/out/config"
make -s kernelrelease LOCALVERSION=-bulkhead > "$work/out/release"
chmod 755 "$work/out"
rm -rf "$target"
mv "$work/out" "$target"
rm -f "$cache/not-built"
echo "$target/vmlinux"
