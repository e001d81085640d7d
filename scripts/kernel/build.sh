#!/bin/sh
# Builds the small guest kernel from Debian's kernel source and leaves it in the cache, once per configuration.
#
#     scripts/kernel/build.sh [CACHE]          default /var/cache/bulkhead/kernel
#
# Prints the path of `vmlinux`. Takes some minutes of every core the first time, so whoever calls it runs it in the background;
# nothing waits for it: until it is there machines boot Debian's own kernel (debian.sh).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-/var/cache/bulkhead/kernel}
package=linux-source-6.1
version=$(apt-cache policy "$package" | awk '/Candidate:/ {print $2}')
[ -n "$version" ] && [ "$version" != "(none)" ] || { echo "kernel: $package is not in this host's package lists; run apt-get update" >&2; exit 69; }
key=$( { cat "$here/machine.config"; echo "$version"; uname -m; } | sha256sum | cut -c1-16)
target=$cache/own-$key
if [ -f "$target/vmlinux" ]; then echo "$target/vmlinux"; exit 0; fi

for tool in make gcc flex bison bc xz; do
  command -v "$tool" >/dev/null || { echo "kernel: $tool is missing; install build-essential flex bison bc libelf-dev xz-utils" >&2; exit 69; }
done

mkdir -p "$cache"
exec 9>"$cache/.build-lock"
flock 9
if [ -f "$target/vmlinux" ]; then echo "$target/vmlinux"; exit 0; fi

work=$(mktemp -d "$cache/build-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
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
echo "$target/vmlinux"
