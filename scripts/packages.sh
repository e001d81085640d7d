# Debian and Ubuntu packages: which are missing, and installing them as a guest on somebody's machine. Sourced. POSIX sh.
#
# Nothing is ever removed (--no-remove), nothing that is not needed comes along, and no service that a package brings is
# started: a policy-rc.d says so for as long as the installation runs, unless the machine has one of its own.
policy_program=/usr/sbin/policy-rc.d
policy_text='#!/bin/sh
# Put here by Bulkhead for as long as it installs packages.
exit 101'

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
  # Ours is one that was cut off before it could be taken away.
  [ -e "$policy_program" ] && [ "$(cat "$policy_program")" != "$policy_text" ] && return 0
  policy_is_ours=yes
  printf '%s\n' "$policy_text" >"$policy_program"
  chmod 755 "$policy_program"
}

allow_service_start() {
  if [ -n "${policy_is_ours:-}" ]; then rm -f "$policy_program"; fi
  policy_is_ours=''
}

in_package_lists() {
  case $(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p') in '' | '(none)') return 1 ;; esac
}

# install_available "purpose" package...: as install_packages, without those that no package list has, which it names.
install_available() {
  purpose=$1
  shift
  wanted=$(missing_packages "$@")
  [ -z "$wanted" ] && return 0
  if have apt-cache; then
    [ "$(id -u)" != 0 ] || refresh_index_once
    found='' absent=''
    for package in $wanted; do
      if in_package_lists "$package"; then found="$found $package"; else absent="$absent $package"; fi
    done
    [ -z "$absent" ] || note "$purpose go without$absent: not in this host's package lists"
    [ -n "$found" ] || return 1
    wanted=$found
  fi
  # shellcheck disable=SC2086  # a list of names
  install_packages "$purpose" $wanted
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
  # A shell that a signal ends does not do what it promised for its end.
  trap 'exit 130' HUP INT TERM
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
