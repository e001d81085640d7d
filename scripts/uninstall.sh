#!/bin/sh
# Takes away what setup, quickstart and the daemon made: workloads, state, sockets, caches, builds. Debian packages stay:
# the list of those that setup installed is printed, with the command that removes them.
#
#     scripts/uninstall.sh [--cache]     --cache: the guest kernels too, whoever else on this host boots them
#
# What cannot be taken away is named at the end, and the rest goes all the same.
# Guest kernels in /var/cache/bulkhead take minutes to make and serve every daemon of this host. They stay while another launcher runs here.
set -eu
cache=
case ${1-} in
  '') ;;
  --cache) cache=yes ;;
  *) echo "usage: scripts/uninstall.sh [--cache]" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
. scripts/say.sh
. scripts/builds.sh
. scripts/leavings.sh
[ "$(id -u)" = 0 ] || die "this removes what root made: it must be root" "sudo npm run uninstall"

if [ -x bin/bulkhead ] && [ -e dist/cli.cjs ] && bin/bulkhead info >/dev/null 2>&1; then
  step "Removing workloads and stopping the daemon"
  bin/bulkhead system reset --force --stop || warn "the daemon did not reset everything: see above"
fi
try_to sh scripts/install.sh --remove
# Whatever the daemon could not do, or nobody asked it to: workloads, launcher, bridges, firewall, control groups.
if [ -e /var/lib/bulkhead/identity.json ]; then
  for launcher in dist/native/bulkhead-launcher /usr/lib/bulkhead/bulkhead-launcher; do
    [ -x "$launcher" ] || continue
    step "Taking away what is left on the host"
    "$launcher" --teardown --root /var/lib/bulkhead --run /run/bulkhead || warn "something of Bulkhead is left on the host: see above"
    break
  done
fi
# After the teardown whatever launcher still runs is another root's.
others=
for process in /proc/[0-9]*; do
  case $(tr '\0' ' ' 2>/dev/null < "$process/cmdline") in
    */bulkhead-launcher\ *) others="$others ${process#/proc/}" ;;
  esac
done
# What set-up began behind itself writes where all of this goes.
if [ -n "$cache" ] || [ -z "$others" ]; then
  end_builds /var/cache/bulkhead/kernel
  end_builds /var/cache/bulkhead/wasm
  case $(readlink /usr/local/bin/runsc || true) in /var/cache/bulkhead/*) take_away /usr/local/bin/runsc ;; esac
  step "Removing state, caches and builds"
  take_away /var/cache/bulkhead /run/bulkhead-users /run/bulkhead-stage
else
  end_builds /var/cache/bulkhead/kernel "$PWD"
  end_builds /var/cache/bulkhead/wasm "$PWD"
  step "Removing state and builds"
  note "guest kernels stay in /var/cache/bulkhead: other daemons of this host use them (launchers$others); --cache removes them all the same"
fi
if [ -z "$others" ]; then unload_profile bulkhead-default; fi
remove_group /var/lib/bulkhead-setup/made-group
take_away /run/bulkhead /var/lib/bulkhead /var/log/bulkhead.log dist native/target
if [ -s /var/lib/bulkhead-setup/installed-packages ]; then
  note "setup installed these packages, which stay; to remove them:"
  note "apt-get remove $(sort -u /var/lib/bulkhead-setup/installed-packages | tr '\n' ' ')"
fi
take_away /var/lib/bulkhead-setup node_modules
[ -z "$stayed" ] || die "not everything could be taken away" "mend what the warnings above say, then run as root:$stayed"
step "Done: only the checkout is left"
