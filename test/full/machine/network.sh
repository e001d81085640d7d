# The default bridge with a published port, on a host without systemd-resolved. Sourced by inside.sh.

published() {
  $bulkhead run -d --name web -p 8080:80 -p 127.0.0.1:5300:53/udp busybox sh -c 'mkdir /www; echo page >/www/index.html; httpd -f -p 80 -h /www' >/dev/null || return 1
  expect page "$(within 60 busybox wget -q -O - http://127.0.0.1:8080/)" || return 1
  address=$(of web NetworkSettings.IPAddress)
  expect page "$(busybox wget -q -O - "http://$address/")" || return 1
  # From another workload through the host's published port.
  gateway=$(of web NetworkSettings.Gateway)
  expect page "$($bulkhead run --rm busybox wget -q -O - "http://$gateway:8080/")"
}
names() {
  expect "nameserver 10.0.2.3" "$($bulkhead run --rm busybox grep nameserver /etc/resolv.conf)" || return 1
  contains "$($bulkhead run --rm --hostname box busybox sh -c 'hostname; cat /etc/hosts')" "box"
}
released() {
  $bulkhead rm -f web >/dev/null || return 1
  busybox wget -q -T 2 -O - http://127.0.0.1:8080/ && { echo "the port still answers"; return 1; }
  $bulkhead run --rm -p 8080:80 busybox true
}
check "a published port answers on loopback, by address and from a neighbour" published
check "resolv.conf, hosts and hostname are as on the host without systemd-resolved" names
check "a port is free again once its workload is gone" released
