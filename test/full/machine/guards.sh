# AppArmor enforcing: what it denies, beside the control on which the same deed succeeds. Sourced by inside.sh.

profile_enforced() {
  expect "bulkhead-default (enforce)" "$($bulkhead run --rm --network none busybox cat /proc/self/attr/current)" || return 1
  $bulkhead run -d --name confined --network none busybox sleep 1000 >/dev/null || return 1
  expect "bulkhead-default (enforce)" "$($bulkhead exec confined cat /proc/self/attr/current)" || return 1
  $bulkhead rm -f confined >/dev/null
  grep -q '^bulkhead-default (enforce)$' /sys/kernel/security/apparmor/profiles
}
mount_denied() {
  deed='mkdir /m && mount -t tmpfs none /m && echo mounted'
  denied=$($bulkhead run --rm --network none --cap-add SYS_ADMIN busybox sh -c "$deed" 2>&1)
  contains "$denied" "ermission denied" || return 1
  expect mounted "$($bulkhead run --rm --network none --cap-add SYS_ADMIN --security-opt apparmor=unconfined busybox sh -c "$deed" 2>&1)"
}
# Where the read-only cover over /proc is taken away, the profile still stands.
write_denied() {
  deed='echo h >/proc/sysrq-trigger && echo written'
  contains "$(/product/node_modules/.bin/node "$checks/uncovered.mjs" "$deed")" "ermission denied" || return 1
  expect written "$(/product/node_modules/.bin/node "$checks/uncovered.mjs" "$deed" apparmor=unconfined)"
}
own_profile() {
  printf 'profile narrow flags=(attach_disconnected) {\n file,\n capability,\n deny /etc/** w,\n}\n' | apparmor_parser -Kr || return 1
  contains "$($bulkhead run --rm --network none --security-opt apparmor=narrow busybox touch /etc/x 2>&1)" "ermission denied" || return 1
  said=$($bulkhead run --rm --network none --security-opt apparmor=missing busybox true 2>&1) && { echo "ran under a profile that is not loaded"; return 1; }
  contains "$said" "missing"
}
privileged_free() {
  expect "unconfined" "$($bulkhead run --rm --network none --privileged busybox cat /proc/self/attr/current)"
}
if [ "$(cat /sys/module/apparmor/parameters/enabled)" = Y ]; then
  check "containers and execs run under the enforced default profile" profile_enforced
  check "AppArmor denies a mount that capability and seccomp would allow; unconfined it succeeds" mount_denied
  check "AppArmor denies a write to /proc/sysrq-trigger; unconfined it succeeds" write_denied
  check "a profile of the host's own is used by name, and a missing one refused" own_profile
  check "a privileged container is not confined by the default profile" privileged_free
else
  echo "FAILED AppArmor is enabled in this machine"
fi
