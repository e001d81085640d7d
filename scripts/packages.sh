# Debian and Ubuntu packages: which are missing, and installing them as a guest on somebody's machine. Sourced. POSIX sh.
#
# Nothing is ever removed (--no-remove), nothing that is not needed comes along, and no service that a package brings is
# started: a policy-rc.d says so for as long as the installation runs, unless the machine has one of its own.

missing_packages() {
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
  done
}

refresh_index_once() {
  [ -n "${index_refreshed:-}" ] && return 0
  step "Refreshing the package index"
  apt-get update -qq >"$setup_log" 2>&1 || warn "apt-get update failed; trying with the index that is there"
  index_refreshed=yes
}

forbid_service_start() {
  [ -e /usr/sbin/policy-rc.d ] && return 0
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  policy_is_ours=yes
}

allow_service_start() {
  [ -n "${policy_is_ours:-}" ] && rm -f /usr/sbin/policy-rc.d
  policy_is_ours=''
}

# install_packages "purpose" package...: installs what is missing; returns 1, having said so, where it cannot.
install_packages() {
  purpose=$1
  shift
  wanted=$(missing_packages "$@")
  [ -z "$wanted" ] && return 0
  if ! have apt-get; then
    warn "$purpose needs: $wanted(this host has no apt-get: install them by its own means)"
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then
    warn "$purpose needs: $wanted(run this as root, or: sudo apt-get install $wanted)"
    return 1
  fi
  refresh_index_once
  step "Installing for $purpose: $wanted"
  trap allow_service_start EXIT
  forbid_service_start
  # shellcheck disable=SC2086  # a list of names
  if DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove $wanted >"$setup_log" 2>&1; then
    allow_service_start
    mkdir -p "$state_directory" && printf '%s\n' $wanted >>"$state_directory/installed-packages"
    return 0
  fi
  allow_service_start
  warn "$purpose: could not install $wanted"
  grep -E '^(E|W):' "$setup_log" | head -5 >&2
  note "the whole output is in $setup_log"
  return 1
}
