#!/bin/sh
# Installs a built checkout on this host, as root: the program in /usr/lib/bulkhead, `bulkhead` on PATH, and the systemd units,
# enabled and started. What was installed before is replaced; workloads that run go on.
#
#   sh scripts/install.sh                 install or update
#   sh scripts/install.sh --remove        take the program and the units away (state and workloads stay)
#
#   PREFIX=/usr     where to install      NO_START=1     neither enable nor start the units
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh

prefix=${PREFIX:-/usr}
home=$prefix/lib/bulkhead
units=/etc/systemd/system
[ "$(id -u)" = 0 ] || die "this writes to $home and $units: it must be root" "sudo sh scripts/install.sh"
under_systemd() { [ -d /run/systemd/system ]; }

remove() {
  for unit in bulkhead.service bulkhead-launcher.service; do
    [ -e "$units/$unit" ] || continue
    step "Removing the unit $unit"
    if under_systemd; then systemctl disable --now --quiet "$unit" || true; fi
    rm -f "$units/$unit"
  done
  if under_systemd; then systemctl daemon-reload; fi
  if [ "$(readlink "$prefix/bin/bulkhead" 2>/dev/null)" = "$home/bin/bulkhead" ]; then rm -f "$prefix/bin/bulkhead"; fi
  if [ -e "$home/dist/cli.cjs" ]; then rm -rf "$home"; fi
}

if [ "${1:-}" = --remove ]; then
  remove
  exit 0
fi
[ -e dist/cli.cjs ] && [ -x dist/native/bulkhead-launcher ] || die "this checkout is not built" "npm run setup"

step "Installing into $home"
# Beside the old one and then in its place: who runs keeps what he has, and a cut leaves one of the two.
rm -rf "$home.new" "$home.old"
mkdir -p "$home.new/bin" "$home.new/node_modules/.bin" "$prefix/bin"
cp bin/bulkhead "$home.new/bin/"
cp -r dist "$home.new/dist"
rm -rf "$home.new/dist/.stamps" "$home.new/dist/.stamps-native"
cp "$(readlink -f node_modules/.bin/node)" "$home.new/node_modules/.bin/node"
for program in bulkhead-launcher bulkhead-guest bulkhead-init; do ln -s "dist/native/$program" "$home.new/$program"; done
# What remedies name: it makes guest kernels, here as in a checkout.
mkdir -p "$home.new/scripts/kernel"
cp scripts/builds.sh "$home.new/scripts/"
cp scripts/kernel/*.sh scripts/kernel/machine.config "$home.new/scripts/kernel/"
cp package.json LICENSE "$home.new/"
chmod -R go-w,a+rX "$home.new"
if [ -e "$home" ]; then mv "$home" "$home.old"; fi
mv "$home.new" "$home"
rm -rf "$home.old"
ln -sfn "$home/bin/bulkhead" "$prefix/bin/bulkhead"

# Whoever is in this group may use the daemon's socket, and is as good as root by it.
if ! getent group bulkhead >/dev/null; then
  groupadd --system bulkhead
  # For uninstall: one that was there before is somebody else's.
  mkdir -p /var/lib/bulkhead-setup
  echo bulkhead >/var/lib/bulkhead-setup/made-group
fi

for unit in bulkhead-launcher.service bulkhead.service; do
  sed "s|/usr/lib/bulkhead/|$home/|g; s|/usr/bin/bulkhead|$prefix/bin/bulkhead|g" "packaging/systemd/$unit" >"$units/.$unit.new"
  mv "$units/.$unit.new" "$units/$unit"
done
if [ -n "${NO_START:-}" ]; then
  note "not started; to do so: systemctl enable --now bulkhead-launcher bulkhead"
elif under_systemd; then
  step "Starting the units"
  systemctl daemon-reload
  systemctl enable --quiet bulkhead-launcher.service bulkhead.service
  # A newer launcher takes up the supervisors of the older one; both units leave workloads alone.
  systemctl restart bulkhead-launcher.service bulkhead.service || die "the units do not start" "journalctl -u bulkhead -u bulkhead-launcher"
else
  note "systemd is not process 1 here: start \`bulkhead daemon\` by what is"
fi
step "Done: $("$prefix/bin/bulkhead" --version 2>/dev/null || true)"
