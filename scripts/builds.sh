# Builds that go on behind set-up: begun in a session of their own, written down, and ended by who takes everything away. Sourced. POSIX sh.
#
# A build is written down as PLACE/.build-PID, which holds the moment at which that process began (field 22 of /proc/PID/stat) and the
# checkout that it is for: a process that has the same number and began at another moment is somebody else's, and is let be.

began_when() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# running_builds PLACE [CHECKOUT]: pids of those that still run, of all checkouts or one. Records of those that have ended are taken away.
running_builds() {
  for record in "$1"/.build-[0-9]*; do
    [ -e "$record" ] || continue
    pid=${record##*-}
    { read -r began && read -r checkout; } <"$record" || continue
    # One that ended as it began has no moment.
    if [ -z "$began" ] || [ "$(began_when "$pid")" != "$began" ]; then
      rm -f "$record"
    elif [ "${2:-$checkout}" = "$checkout" ]; then
      echo "$pid"
    fi
  done
}

# begin_build PLACE CHECKOUT COMMAND...: yields to everything; what it says goes to PLACE/build.log.
begin_build() {
  place=$1
  checkout=$2
  shift 2
  (running_builds "$place") >/dev/null
  # Of a script, not of a terminal's job control: setsid need not fork, so this is its pid and its group's.
  setsid nice -n 19 "$@" </dev/null >"$place/build.log" 2>&1 &
  printf '%s\n' "$(began_when $!)" "$checkout" >"$place/.build-$!"
}

# Whether any process of the group still works: one that has ended may stand there long where process 1 does not ask after it.
group_works() { cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | awk -v group="$1" '$3 == group && $1 != "Z" { works = 1 } END { exit !works }'; }

# end_builds PLACE [CHECKOUT]: with all that they started, and not before they are gone; what they had begun they clear away themselves.
end_builds() {
  for pid in $(running_builds "$@"); do
    # Clearing up a kernel's source takes a while, and for ever to one that yields to everybody.
    renice -n 0 -g "$pid" >/dev/null 2>&1 || true
    # One that has only just begun has no group yet.
    kill -TERM "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || true
    left=600
    while [ "$left" -gt 0 ] && group_works "$pid"; do
      left=$((left - 1))
      sleep 0.1
    done
    kill -KILL "-$pid" 2>/dev/null || true
    rm -f "$1/.build-$pid"
  done
}
