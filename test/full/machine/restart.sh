# Restarts of the units with workloads alive. Sourced by inside.sh.

counting='i=0; while :; do i=$((i + 1)); echo $i; sleep 0.05; done'
begin_workloads() {
  $bulkhead run -d --name counter --network none busybox sh -c "$counting" >/dev/null
  $bulkhead run -d --name served -p 8081:80 busybox httpd -f -p 80 -h / >/dev/null
}
# The numbers 1..n, each once and in order: no line lost or doubled.
log_is_whole() {
  $bulkhead logs counter >/scratch/log || return 1
  [ "$(wc -l </scratch/log)" -gt 10 ] || { echo "only $(wc -l </scratch/log) lines"; return 1; }
  seq "$(wc -l </scratch/log)" | cmp - /scratch/log
}
# survive COMMAND...: the workloads are the same processes before and after, and answer.
survive() {
  before="$(of counter State.Pid) $(of served State.Pid) $(of counter State.StartedAt)"
  lines=$($bulkhead logs counter | wc -l)
  "$@" || return 1
  within 120 $bulkhead info >/dev/null || { echo "the daemon does not answer"; systemctl status bulkhead bulkhead-launcher --no-pager -n 20; return 1; }
  expect "$before" "$(of counter State.Pid) $(of served State.Pid) $(of counter State.StartedAt)" || return 1
  expect "running running" "$(of counter State.Status) $(of served State.Status)" || return 1
  within 120 sh -c "[ \$($bulkhead logs counter | wc -l) -gt $lines ]" || { echo "the log stands still"; return 1; }
  log_is_whole || return 1
  within 60 busybox wget -q -O /dev/null http://127.0.0.1:8081/etc/hostname || { echo "its port does not answer"; return 1; }
  expect "inside" "$($bulkhead exec counter echo inside)"
}
# One that ends while nobody looks, and another that is killed.
end_unseen() {
  $bulkhead run -d --name seven --network none busybox sh -c 'echo last; sleep 3; echo words; exit 7' >/dev/null || return 1
  $bulkhead run -d --name shot --network none busybox sleep 1000 >/dev/null || return 1
  pid=$(of shot State.Pid)
  systemctl stop bulkhead || return 1
  kill -9 "$pid"
  ended=$(date +%s)
  sleep 5
  systemctl start bulkhead || return 1
  expect "exited 7 exited 137" "$(of seven State.Status) $(of seven State.ExitCode) $(of shot State.Status) $(of shot State.ExitCode)" || return 1
  expect "last words" "$(echo $($bulkhead logs seven))" || return 1
  finished=$(date -d "$(of shot State.FinishedAt)" +%s)
  [ $((finished - ended)) -le 1 ] || { echo "shot ended at $ended, and is said to have ended at $finished"; return 1; }
  $bulkhead rm seven shot >/dev/null
}
stop_all() {
  pids="$(of counter State.Pid) $(of served State.Pid)"
  systemctl stop bulkhead bulkhead-launcher || return 1
  sleep 1
  for pid in $pids; do kill -0 "$pid" || { echo "$pid died with the units"; return 1; }; done
  busybox wget -q -O /dev/null http://127.0.0.1:8081/etc/hostname || { echo "the port went with the units"; return 1; }
  systemctl start bulkhead
}
kill_launcher() {
  systemctl kill --kill-whom=main -s KILL bulkhead-launcher || return 1
  within 120 systemctl is-active --quiet bulkhead-launcher || { echo "systemd did not start it again"; return 1; }
  sleep 2
  # The one that systemd started holds the root; the daemon started none of its own.
  expect "$(systemctl show -p MainPID --value bulkhead-launcher)" "$(cat /var/lib/bulkhead/launcher.lock)"
}
kill_daemon() {
  systemctl kill --kill-whom=main -s KILL bulkhead || return 1
  sleep 2
}
# systemd writes the controllers of the root group anew when units change: limits below must stay.
reload_keeps_limits() {
  $bulkhead run -d --name kept --network none --memory 40m --pids-limit 30 busybox sleep 1000 >/dev/null || return 1
  systemctl daemon-reload && systemctl daemon-reexec && systemctl restart dbus
  expect "41943040 30" "$(cd "$(group_of kept)" && echo $(cat memory.max pids.max))" || return 1
  $bulkhead rm -f kept >/dev/null
  expect fine "$($bulkhead run --rm --memory 30m --network none busybox echo fine)"
}
check "workloads are there to be restarted under" begin_workloads
check "systemctl restart bulkhead leaves workloads, logs and ports alone" survive systemctl restart bulkhead
check "systemctl restart bulkhead-launcher leaves them alone" survive systemctl restart bulkhead-launcher
check "an exit while the daemon was down has its true code, time and last words" end_unseen
check "systemctl stop of both leaves workloads running; start finds them again" survive stop_all
check "SIGKILL to the launcher: systemd starts it again, workloads go on" survive kill_launcher
check "SIGKILL to the daemon: systemd starts it again, workloads go on" survive kill_daemon
check "systemd's reload keeps limits, and new workloads get theirs" reload_keeps_limits
$bulkhead rm -f counter served kept >/dev/null 2>&1
