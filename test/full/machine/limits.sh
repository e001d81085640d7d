# Limits, devices, freezer, out of memory, statistics: on control groups v2, by their visible effect. Sourced by inside.sh.

limits_hold() {
  $bulkhead run -d --name limited --network none --memory 48m --memory-swap 48m --cpus 0.5 --pids-limit 20 --cpuset-cpus 1 --cpu-shares 2048 busybox sleep 1000 >/dev/null || return 1
  group=$(group_of limited)
  expect "50331648 0 50000 100000 20 1 79" "$(cd "$group" && echo $(cat memory.max memory.swap.max cpu.max pids.max cpuset.cpus cpu.weight))" || return 1
  # The same seen from inside, through a control group namespace of its own.
  expect "50331648 20" "$(echo $($bulkhead exec limited cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max))" || return 1
  expect 0 "$($bulkhead exec limited cat /proc/1/oom_score_adj)"
}
forks_end() {
  said=$($bulkhead exec limited sh -c 'i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i + 1)); done; echo made $i' 2>&1)
  contains "$said" "can't fork"
}
update_reaches() {
  $bulkhead update --memory 64m --memory-swap 96m --pids-limit 33 --cpus 0.25 limited >/dev/null || return 1
  expect "67108864 33554432 25000 100000 33" "$(cd "$(group_of limited)" && echo $(cat memory.max memory.swap.max cpu.max pids.max))"
}
stats_count() {
  said=$($bulkhead stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' limited) || return 1
  tell_later "$said"
  contains "$said" "64MiB" && contains "$said" "limited "
}
tell_later() { echo "$1" >>/scratch/later; }
out_of_memory() {
  $bulkhead run --name hungry --network none --memory 24m --memory-swap 24m busybox tail /dev/zero
  expect "137" "$?" || return 1
  expect "true 137" "$(of hungry State.OOMKilled) $(of hungry State.ExitCode)"
}
freezer() {
  $bulkhead run -d --name ticking --network none busybox sh -c 'i=0; while :; do i=$((i + 1)); echo $i; sleep 0.1; done' >/dev/null || return 1
  sleep 1
  $bulkhead pause ticking >/dev/null || return 1
  grep -q 'frozen 1' "$(group_of ticking)/cgroup.events" || { echo "not frozen"; return 1; }
  before=$($bulkhead logs ticking | wc -l)
  sleep 2
  expect "$before paused" "$($bulkhead logs ticking | wc -l) $(of ticking State.Status)" || return 1
  $bulkhead unpause ticking >/dev/null || return 1
  sleep 2
  [ "$($bulkhead logs ticking | wc -l)" -gt "$before" ] || { echo "does not tick again"; return 1; }
  $bulkhead rm -f ticking >/dev/null
}
device_rules() {
  disk="$((0x$(stat -c %t /dev/vda))) $((0x$(stat -c %T /dev/vda)))"
  deed="mknod /disk b $disk; dd if=/disk of=/dev/null bs=512 count=1 2>&1 && echo read"
  contains "$($bulkhead run --rm --network none busybox sh -c "$deed" 2>&1)" "Operation not permitted" || return 1
  # The control: the same deed where the device was given.
  contains "$($bulkhead run --rm --network none --device /dev/vda:/disk:r busybox sh -c 'dd if=/disk of=/dev/null bs=512 count=1 && echo read' 2>&1)" "read" || return 1
  contains "$($bulkhead run --rm --network none --device /dev/vda:/disk:r busybox sh -c '(exec 3>>/disk) && echo written' 2>&1)" "Operation not permitted" || return 1
  expect "fine" "$($bulkhead run --rm --network none busybox sh -c 'echo x >/dev/null && head -c 8 /dev/urandom >/dev/null && echo fine')"
}
check "limits stand in the workload's own v2 group, and are seen from inside" limits_hold
check "the limit of processes ends a fork bomb" forks_end
check "update changes the limits of a running workload" update_reaches
check "stats count what the v2 group counts" stats_count
check "a workload beyond its memory is ended and reported as out of memory" out_of_memory
check "pause freezes and unpause goes on" freezer
check "device rules refuse the host's disk, and its control reads it" device_rules
[ -f /scratch/later ] && sed 's/^/# /' /scratch/later
$bulkhead rm -f limited hungry ticking >/dev/null 2>&1
