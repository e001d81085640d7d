# Nothing stays: neither of workloads nor, in the end, of the product. Sourced by inside.sh.

nothing_left() {
  $bulkhead ps -aq | while read -r id; do $bulkhead rm -f "$id" >/dev/null; done
  sleep 2
  expect "" "$(find /sys/fs/cgroup/bulkhead-* -mindepth 1 -type d 2>/dev/null)" || return 1
  expect "" "$(pgrep -a crun)" || return 1
  expect "" "$(ip -o link show type veth)" || return 1
  expect "" "$(grep -h 'overlay' /proc/*/mountinfo 2>/dev/null | grep /var/lib/bulkhead | head -3)"
}
uninstalled() {
  $bulkhead system reset --force --stop || return 1
  sh scripts/install.sh --remove || return 1
  expect "" "$(ls -d /usr/lib/bulkhead /usr/bin/bulkhead /etc/systemd/system/bulkhead*.service 2>/dev/null)" || return 1
  expect "" "$(pgrep -a bulkhead)"
}
# The whole of it in one command, with a workload that runs: what setup, the units, the daemon and a build made.
uninstalled_at_once() {
  sh scripts/install.sh && within 120 $bulkhead info >/dev/null || return 1
  $bulkhead load --quiet -i /product/busybox.tar && $bulkhead run -d busybox sleep 1000 >/dev/null || return 1
  mkdir -p /var/cache/bulkhead /var/lib/bulkhead-setup native/target
  echo curl >/var/lib/bulkhead-setup/installed-packages
  ln -sf /var/cache/bulkhead/runsc /usr/local/bin/runsc
  getent group bulkhead >/dev/null || { echo "the installation made no group"; return 1; }
  # As set-up leaves one: it goes on writing where all of this goes.
  mkdir -p /var/cache/bulkhead/kernel
  sh -c '. scripts/builds.sh; begin_build /var/cache/bulkhead/kernel "$PWD" sh -c "while sleep 0.1; do mkdir -p /var/cache/bulkhead/kernel/build-half; done"'
  build=$(sh -c '. scripts/builds.sh; running_builds /var/cache/bulkhead/kernel')
  [ -n "$build" ] || { echo "no build goes on"; return 1; }
  said=$(sh scripts/uninstall.sh 2>&1) || { echo "$said"; return 1; }
  contains "$said" "apt-get remove curl" || return 1
  expect "" "$(ls -d /usr/lib/bulkhead /usr/bin/bulkhead /usr/local/bin/runsc /etc/systemd/system/bulkhead*.service 2>/dev/null)" || return 1
  expect "" "$(ls -d /run/bulkhead* /var/lib/bulkhead* /var/cache/bulkhead /var/log/bulkhead.log 2>/dev/null)" || return 1
  expect "" "$(ls -d dist node_modules native/target 2>/dev/null)" || return 1
  [ ! -e "/proc/$build" ] || { echo "the build goes on"; return 1; }
  expect "" "$(getent group bulkhead)" || return 1
  expect "" "$(grep -h '^bulkhead' /sys/kernel/security/apparmor/profiles 2>/dev/null)" || return 1
  expect "" "$(pgrep -a 'bulkhead|crun')" || return 1
  expect "" "$(find /sys/fs/cgroup -name 'bulkhead-*' -type d 2>/dev/null)" || return 1
  expect "" "$(ip -o link show | grep -E 'bulkhead|bh-|veth')" || return 1
  [ -e scripts/uninstall.sh ] && [ -e package.json ]
}
check "removed workloads leave no group, process, link or mount" nothing_left
check "the product goes as it came" uninstalled
check "uninstall takes all of it away and leaves the checkout" uninstalled_at_once
