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
check "removed workloads leave no group, process, link or mount" nothing_left
check "the product goes as it came" uninstalled
