# Installed as a user would, from the units. Sourced by inside.sh.

install_product() {
  sh scripts/install.sh && within 120 $bulkhead info >/dev/null
}
embedded_image() {
  $bulkhead load --quiet -i /product/busybox.tar && expect hello "$($bulkhead run --rm --network none busybox echo hello)"
}
doctor() {
  report=$($bulkhead doctor 2>&1)
  echo "$report" >/scratch/doctor
  contains "$report" "ran a container with cgroup v2" && contains "$report" "AppArmor is enabled"
}
check "installs from a checkout and starts both units" install_product
check "the launcher says when it is ready, and so does the daemon" sh -c 'systemctl show -p Type,ActiveState,SubState bulkhead bulkhead-launcher | tr "\n" " " | grep -q "Type=notify ActiveState=active SubState=running.*Type=notify ActiveState=active SubState=running"'
check "runs the embedded image" embedded_image
check "doctor proves containers on control groups v2" doctor
sed 's/^/# doctor: /' /scratch/doctor
