# The words of the checks inside the machine. Sourced. POSIX sh.

bulkhead=/usr/bin/bulkhead
tell() { printf '# %s\n' "$*"; }
seconds() { cut -d. -f1 /proc/uptime; }

# check "title" COMMAND...: a verdict; what the command said is told where it fails.
check() {
  title=$1
  shift
  began=$(seconds)
  if said=$("$@" 2>&1); then
    printf 'ok %s (%s s)\n' "$title" "$(($(seconds) - began))"
  else
    printf 'FAILED %s (exit %s)\n' "$title" "$?"
    printf '%s\n' "$said" | tail -40 | sed 's/^/# | /'
  fi
}

# expect WANTED ACTUAL
expect() {
  [ "$1" = "$2" ] && return 0
  printf 'wanted: %s\nbut is: %s\n' "$1" "$2"
  return 1
}
# contains TEXT PART
contains() {
  case $1 in *"$2"*) return 0 ;; esac
  printf 'not there: %s\nin: %s\n' "$2" "$1"
  return 1
}
# within SECONDS COMMAND...: until the command succeeds.
within() {
  last=$(($(seconds) + $1))
  shift
  until "$@"; do
    [ "$(seconds)" -lt "$last" ] || return 1
    sleep 0.2
  done
}
of() { $bulkhead inspect --format "{{.$2}}" "$1"; }
# The workload's own control group, found by its main process.
group_of() { echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(of "$1" State.Pid)/cgroup")"; }
