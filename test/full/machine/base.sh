#!/bin/sh
# Makes what the emulated Debian machine boots from: a kernel, an initrd, and a root disk with systemd, AppArmor and the packages
# that a user of Bulkhead has. Kept outside the checkout until this recipe changes; prints the directory: vmlinuz, initrd, root.ext4.
#
#     test/full/machine/base.sh [CACHE]        default /var/cache/bulkhead/test-machine
set -eu

cache=${1:-${BULKHEAD_CACHE:-/var/cache/bulkhead}/test-machine}
suite=bookworm
packages=systemd,systemd-sysv,dbus,udev,kmod,apparmor,crun,nftables,iproute2,procps,busybox-static,erofs-utils
[ "$(uname -m)" = x86_64 ] || { echo "test machine: only x86-64 has a recipe" >&2; exit 69; }
kernel_package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
[ -n "$kernel_package" ] || { echo "test machine: linux-image-cloud-amd64 is not in this host's package lists; run apt-get update" >&2; exit 69; }
target=$cache/$(printf '%s\n' "$kernel_package" | cat "$0" - | sha256sum | cut -c1-16)
if [ -f "$target/root.ext4" ]; then echo "$target"; exit 0; fi
for tool in debootstrap cpio mkfs.ext4 busybox; do
  command -v "$tool" >/dev/null || { echo "test machine: $tool is not here; run: apt-get install debootstrap cpio e2fsprogs busybox-static" >&2; exit 69; }
done

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [ -f "$target/root.ext4" ]; then echo "$target"; exit 0; fi
work=$(mktemp -d "$cache/make-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/out" "$work/root"
root=$work/root

# The slow part, kept apart from what is changed about it below.
userland=$cache/userland-$(printf '%s %s %s' "$suite" "$packages" "$kernel_package" | sha256sum | cut -c1-16).tar
if [ ! -f "$userland" ]; then
  echo "test machine: unpacking a Debian with systemd (debootstrap, two minutes)" >&2
  debootstrap --variant=minbase --include="$packages" "$suite" "$root" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
  (cd "$work" && apt-get download -q "$kernel_package" >>"$work/log" 2>&1)
  dpkg-deb --fsys-tarfile "$work"/linux-image-*.deb | tar -x -C "$root" --keep-directory-symlink ./boot ./lib/modules
  rm -rf "$root/var/cache/apt/archives"/*.deb "$root/var/lib/apt/lists"/* "$root/usr/share/doc" "$root/usr/share/locale" "$root/usr/share/man"
  tar --numeric-owner --xattrs -C "$root" -cf "$userland.$$" .
  mv "$userland.$$" "$userland"
else
  tar --numeric-owner --xattrs -C "$root" -xf "$userland"
fi

release=$(basename "$root"/lib/modules/*)
chroot "$root" depmod "$release"
cp "$root/boot/vmlinuz-$release" "$work/out/vmlinuz"
rm -rf "$root/boot"

# An initrd that does one thing: find the disk, and hand over to systemd.
mkdir -p "$work/initrd/bin" "$work/initrd/dev" "$work/initrd/root"
cp "$(command -v busybox)" "$work/initrd/bin/busybox"
count=10
for module in virtio_pci virtio_blk ext4; do
  for file in $(chroot "$root" modprobe -S "$release" --show-depends "$module" | awk '$1 == "insmod" {print $2}'); do
    name=$(basename "$file")
    ls "$work"/initrd/*-"$name" >/dev/null 2>&1 && continue
    cp "$root/$file" "$work/initrd/$count-$name"
    count=$((count + 1))
  done
done
cat >"$work/initrd/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in /*.ko; do /bin/busybox insmod "$module"; done
while ! [ -b /dev/vda ]; do /bin/busybox usleep 20000; done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /sbin/init
INIT
chmod 755 "$work/initrd/init"
(cd "$work/initrd" && find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$work/out/initrd"

# What slows an emulated boot and serves nobody here.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service getty@tty1.service \
  getty.target systemd-timesyncd.service systemd-networkd.service systemd-resolved.service systemd-pstore.service systemd-hwdb-update.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# What it is there for: the checks on the second disk, whose words go out of the second serial port.
mkdir -p "$root/product" "$root/etc/systemd/system/multi-user.target.wants"
cat >"$root/etc/systemd/system/checks.service" <<'UNIT'
[Unit]
Description=The checks that the second disk brings
After=multi-user.target
[Service]
Type=oneshot
ExecStartPre=/bin/mount -o ro /dev/vdb /product
ExecStart=/bin/sh /product/test/full/machine/inside.sh
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/dev/ttyS1
StandardError=inherit
TimeoutStartSec=infinity
UNIT
cat >"$root/etc/systemd/system/checks.timer" <<'UNIT'
[Unit]
Description=Begins the checks once everything else is up
[Timer]
OnActiveSec=1
AccuracySec=1s
[Install]
WantedBy=timers.target
UNIT
mkdir -p "$root/etc/systemd/system/timers.target.wants"
ln -sf ../checks.timer "$root/etc/systemd/system/timers.target.wants/checks.timer"
mkdir -p "$root/etc/systemd/system/sysinit.target.wants"
ln -sf /lib/systemd/system/apparmor.service "$root/etc/systemd/system/sysinit.target.wants/apparmor.service"
echo v2machine >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 v2machine\n' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf"
printf 'nameserver 10.0.2.3\n' >"$root/etc/resolv.conf"
printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
: >"$root/etc/machine-id"

# Room for images, logs and workloads; sparse on the host.
truncate -s 3G "$work/out/root.ext4"
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$work/out/root.ext4"
printf '%s\n' "$release" >"$work/out/release"
rm -rf "$target"
mv "$work/out" "$target"
echo "$target"
