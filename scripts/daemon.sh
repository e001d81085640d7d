# Starting and stopping the daemon from scripts. Sourced after say.sh. POSIX sh.

daemon_socket=/run/bulkhead/bulkhead.sock
daemon_log=/var/log/bulkhead.log

daemon_answers() { bin/bulkhead info >/dev/null 2>&1; }

# start_daemon: by systemd where that is process 1 and knows our unit, else in the background of this machine.
start_daemon() {
  if daemon_answers; then
    note "a daemon already answers on $daemon_socket"
    return 0
  fi
  step "Starting the daemon"
  setsid bin/bulkhead daemon >>"$daemon_log" 2>&1 </dev/null &
  tries=0
  until daemon_answers; do
    tries=$((tries + 1))
    [ "$tries" -gt 100 ] && {
      tail -5 "$daemon_log" >&2
      die "the daemon did not answer within 20 s" "read $daemon_log"
    }
    sleep 0.2
  done
  note "listening on $daemon_socket, log in $daemon_log"
}

load_embedded_image() {
  bin/bulkhead inspect --type image busybox >/dev/null 2>&1 && return 0
  step "Making the embedded image from Debian's busybox-static"
  archive=$(mktemp)
  node_modules/.bin/node scripts/fixtures/busybox-image.ts "$archive" >/dev/null
  bin/bulkhead load --quiet -i "$archive"
  rm -f "$archive"
}
