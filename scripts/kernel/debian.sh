#!/bin/sh
# Fetches Debian's cloud kernel and makes of it what a machine boots at once: the uncompressed vmlinux (entered by PVH) and the
# modules that our init loads. Downloaded and unpacked, never installed.
#
#     scripts/kernel/debian.sh [CACHE]         default /var/cache/bulkhead/kernel
#
# Prints the directory: vmlinux, release, modules/NN-name.ko in the order in which they must be loaded.
set -eu

cache=${1:-/var/cache/bulkhead/kernel}
wanted="virtio_mmio virtio_blk virtio_net virtio_console virtio-rng erofs overlay fuse"

case $(uname -m) in
  x86_64) meta=linux-image-cloud-amd64 ;;
  aarch64) meta=linux-image-cloud-arm64 ;;
  *) echo "kernel: no kernel is known for $(uname -m)" >&2; exit 69 ;;
esac
# Ubuntu's virtual kernel has the same drivers under another name.
grep -q '^ID=ubuntu' "${BULKHEAD_OS_RELEASE:-/etc/os-release}" 2>/dev/null && meta=linux-image-virtual
package=$(apt-cache depends "$meta" 2>/dev/null | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
[ -n "$package" ] || { echo "kernel: $meta is not in this host's package lists; run apt-get update" >&2; exit 69; }
version=$(apt-cache policy "$package" | awk '/Candidate:/ {print $2}')
target=$cache/debian-$version
if [ -f "$target/vmlinux" ]; then echo "$target"; exit 0; fi

mkdir -p "$cache"
exec 9>"$cache/.fetch-lock"
flock 9
if [ -f "$target/vmlinux" ]; then echo "$target"; exit 0; fi
work=$(mktemp -d "$cache/fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"
# Ubuntu keeps the modules in a package of their own.
apt-get download -q "$package" >&2
modules_package=$(apt-cache depends "$package" | awk '/Depends: linux-modules-/ {print $2; exit}')
[ -z "$modules_package" ] || apt-get download -q "$modules_package" >&2
for archive in *.deb; do dpkg-deb --fsys-tarfile "$archive" | tar -x --wildcards './boot/vmlinuz*' './lib/modules/*' 2>/dev/null || true; done

number() { od -An -tu"$3" -j"$2" -N"$3" "$1" | tr -d ' '; }
# The boot protocol's header says where the compressed kernel lies (Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length).
image=$(ls boot/vmlinuz-* | head -1)
offset=$(( ($(number "$image" 497 1) + 1) * 512 + $(number "$image" 584 4) ))
length=$(( $(number "$image" 588 4) - 4 ))
tail -c +$((offset + 1)) "$image" | head -c "$length" > payload
case $(od -An -tx1 -N4 payload | tr -d ' ') in
  02214c18) lz4 -dc payload > vmlinux 2>/dev/null ;;
  fd377a58) xz -dc payload > vmlinux ;;
  28b52ffd) zstd -dcq payload > vmlinux ;;
  1f8b*) gzip -dc payload > vmlinux ;;
  *) echo "kernel: $image is compressed in a way that is not known here" >&2; exit 65 ;;
esac
[ "$(od -An -tx1 -N4 vmlinux | tr -d ' ')" = 7f454c46 ] || { echo "kernel: $image holds no ELF kernel" >&2; exit 65; }

# Dependencies before dependents, as each module names them itself; kmod need not be there.
tree=$(ls -d lib/modules/*)
mkdir -p out/modules
count=10
find_module() { find "$tree" -name "$1.ko*" | head -1; }
add() {
  name=$(printf '%s' "$1" | tr '-' '_')
  ls out/modules/*-"$name".ko >/dev/null 2>&1 && return 0
  file=$(find_module "$1")
  [ -n "$file" ] || file=$(find_module "$(printf '%s' "$1" | tr '_' '-')")
  [ -n "$file" ] || return 0
  case $file in
    *.xz) xz -dc "$file" > "plain-$name.ko" ;;
    *.zst) zstd -dcq "$file" > "plain-$name.ko" ;;
    *) cp "$file" "plain-$name.ko" ;;
  esac
  for dependency in $(tr '\0' '\n' < "plain-$name.ko" | sed -n 's/^depends=//p' | tr ',' ' '); do add "$dependency"; done
  name=$(printf '%s' "$1" | tr '-' '_')
  mv "plain-$name.ko" "out/modules/$count-$name.ko"
  count=$((count + 1))
}
for module in $wanted; do
  add "$module"
done
mv vmlinux out/vmlinux
basename "$tree" > out/release
chmod -R a+rX out
rm -rf "$target"
mv out "$target"
echo "$target"
