#!/bin/sh
# Packs a machine's initrd: our init as /init, and the modules that lie beside the kernel, if any.
#
#     scripts/kernel/initrd.sh GUEST_BINARY KERNEL_DIRECTORY
#
# Prints its path, KERNEL_DIRECTORY/initrd-HASH, where HASH is the first 16 digits of the binary's sha256: a rebuilt init never
# meets a stale initrd, and two daemons of different releases share one cache.
set -eu

guest=$1
kernel=$(cd "$2" && pwd)
hash=$(sha256sum "$guest" | cut -c1-16)
target=$kernel/initrd-$hash
if [ -f "$target" ]; then echo "$target"; exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
cp "$guest" "$work/root/init"
chmod 755 "$work/root/init"
if [ -d "$kernel/modules" ]; then cp -r "$kernel/modules" "$work/root/modules"; fi
# Not compressed: unpacking would cost the boot more than reading. Owned by root, whoever packs.
(cd "$work/root" && find . -mindepth 1 | sort | cpio -o -H newc -R 0:0 --quiet) > "$work/initrd"
chmod 644 "$work/initrd"
mv "$work/initrd" "$target.$$"
mv "$target.$$" "$target"
echo "$target"
