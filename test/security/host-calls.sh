#!/bin/sh
# How many distinct system calls of the host's kernel a workload is seen to make, for docs/boundaries: the same small work behind each boundary,
# traced from outside in the process that stands before the host's kernel: the program itself, gVisor's kernel, the machine's monitor.
#
#     BULKHEAD_HOST=unix:///PATH sh test/security/host-calls.sh [container gvisor microvm vm]
#
# Needs root, strace, and an image named busybox in the daemon; for vm one named boot-disk (scripts/fixtures/boot-disk.sh, `import --disk`), which is
# told the work at its serial line.
set -eu

bulkhead=$(dirname "$0")/../../bin/bulkhead
counts=$(mktemp)
trap 'rm -f "$counts"; "$bulkhead" rm -f host-calls >/dev/null 2>&1 || true' EXIT

work='sleep 4; ls -lR /etc /bin >/dev/null
i=0; while [ $i -lt 20 ]; do cat /etc/passwd >/tmp/f$i; rm /tmp/f$i; i=$((i+1)); done
dd if=/dev/zero of=/tmp/z bs=64k count=64 2>/dev/null; sync
ip addr >/dev/null; httpd -p 80; wget -qO- http://127.0.0.1/etc/passwd >/dev/null; ps >/dev/null; sleep 2'

[ $# -gt 0 ] || set -- container gvisor microvm
for isolation in "$@"; do
  if [ "$isolation" = vm ]; then
    "$bulkhead" run -d -i --name host-calls --isolation vm --memory 256m boot-disk >/dev/null
    until "$bulkhead" logs host-calls | grep -q 'boot [0-9]* of'; do sleep 0.5; done
    # The last word ends the machine, and with it the trace.
    { sleep 2; printf '%s\npoweroff -f\n' "$work"; sleep 20; } | timeout 25 "$bulkhead" attach --sig-proxy=false host-calls >/dev/null 2>&1 &
  else
    "$bulkhead" run -d --name host-calls --isolation "$isolation" busybox sh -c "$work" >/dev/null
  fi
  pid=$("$bulkhead" inspect -f '{{.State.Pid}}' host-calls)
  timeout -s INT 60 strace -f -c -o "$counts" -p "$pid" >/dev/null 2>&1 || true
  calls=$(awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $NF }' "$counts" | sort)
  echo "$isolation: $(echo "$calls" | wc -l) ($(echo "$calls" | tr '\n' ' '))"
  "$bulkhead" rm -f host-calls >/dev/null
done
