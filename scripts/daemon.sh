# Starting and stopping the daemon from scripts. Sourced after say.sh. POSIX sh.

daemon_socket=/run/bulkhead/bulkhead.sock
daemon_log=/var/log/bulkhead.log
systemd_mark=/run/systemd/system

daemon_answers() { bin/bulkhead info >/dev/null 2>&1; }

# start_daemon: by systemd where that is process 1 and knows our unit (scripts/install.sh), else in the background of this machine.
start_daemon() {
  if daemon_answers; then
    note "a daemon already answers on $daemon_socket"
    return 0
  fi
  if [ -d "$systemd_mark" ] && systemctl cat bulkhead.service >/dev/null 2>&1; then
    # One beside it would hold the unit's own root when the unit is next started.
    step "Starting the daemon (systemctl start bulkhead)"
    where="journalctl -u bulkhead -u bulkhead-launcher"
    systemctl start bulkhead.service || die "the installed unit does not start" "$where; or, to run this checkout's: sh scripts/install.sh"
  else
    step "Starting the daemon"
    where="tail $daemon_log"
    setsid bin/bulkhead daemon >>"$daemon_log" 2>&1 </dev/null &
  fi
  tries=0
  until daemon_answers; do
    tries=$((tries + 1))
    [ "$tries" -gt 100 ] && {
      [ ! -e "$daemon_log" ] || tail -5 "$daemon_log" >&2
      die "the daemon did not answer within 20 s" "see: $where"
    }
    sleep 0.2
  done
  note "listening on $daemon_socket; its log: $where"
}

load_embedded_image() {
  bin/bulkhead inspect --type image busybox >/dev/null 2>&1 && return 0
  step "Making the embedded image from Debian's busybox-static"
  archive=$(mktemp)
  node_modules/.bin/node scripts/fixtures/busybox-image.ts "$archive" >/dev/null
  bin/bulkhead load --quiet -i "$archive"
  rm -f "$archive"
}
