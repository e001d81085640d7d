#!/bin/sh
# What a volume costs behind each boundary: the same busybox script on the same host directory, as a container's bind mount and as a machine's
# share, turn about. Prints medians; nothing is asserted.
#
#     sh bench/volumes.sh [ROUNDS] [BOUNDARY...]        default: 5 container microvm
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-5}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- container microvm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/volume"
# A process counts its own time: each figure is of one process that does the thing often.
# A process counts its own time: each figure is of one process that does the thing often. What the second one reads and asks for, its
# kernel does not know yet (a container's knows it: the host's is its own).
cat > "$work/volume/first" <<'END'
now() { read -r up _ < /proc/uptime; echo $(( ${up%.*} * 1000 + (1${up#*.} - 100) * 10 )); }
began=$(now); dd if=/dev/zero of=/v/big bs=1M count=128 conv=fsync 2> /dev/null; echo write $(( $(now) - began ))
mkdir -p /v/many; cd /v/many
began=$(now); for number in $(seq 1000); do : > $number; done; echo create $(( $(now) - began ))
END
cat > "$work/volume/second" <<'END'
now() { read -r up _ < /proc/uptime; echo $(( ${up%.*} * 1000 + (1${up#*.} - 100) * 10 )); }
began=$(now); dd if=/v/big of=/dev/null bs=1M 2> /dev/null; echo read $(( $(now) - began ))
cd /v/many
began=$(now); for number in $(seq 1000); do [ -f $number ]; done; echo stat $(( $(now) - began ))
rm -rf /v/big /v/many
END
for round in $(seq "$rounds"); do
  for boundary; do
    for half in first second; do
      bin/bulkhead run --rm --network none --isolation "$boundary" -v "$work/volume:/v" busybox sh "/v/$half" > "$work/said"
      sed "s/^/$boundary /" "$work/said" >> "$work/figures"
    done
  done
done
# Milliseconds to MB/s and to files a second.
sort -k1,2 -k3n "$work/figures" | awk '
  { key = $1 " " $2; if (key != last) { flush(); last = key; n = 0 } values[++n] = $3 }
  function flush() { if (n) print_it(last, values[int((n + 1) / 2)]) }
  function print_it(key, ms, part) {
    split(key, part, " ")
    if (ms == 0) ms = 10
    if (part[2] == "write" || part[2] == "read") printf "%-10s %-7s %7.0f MB/s\n", part[1], part[2], 128 * 1.048576 * 1000 / ms
    else printf "%-10s %-7s %7.0f files/s\n", part[1], part[2], 1000 * 1000 / ms
  }
  END { flush() }'
