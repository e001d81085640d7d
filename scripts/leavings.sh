# Taking away what Bulkhead left on this host: what cannot be taken away is said, and the rest goes on. Sourced after say.sh. POSIX sh.

# Not empty once something has stayed that should have gone.
stayed=''

# try_to COMMAND...: the rest does not depend on it.
try_to() {
  "$@" && return 0
  stayed="$stayed
  $*"
}

# take_away PATH...: files and directories, with all that is in them.
take_away() {
  for path in "$@"; do
    rm -rf "$path" || {
      warn "could not be removed: $path"
      stayed="$stayed
  rm -rf $path"
    }
  done
}

# unload_profile NAME: the AppArmor profile that the launcher loads. Whoever is confined by it would go free: then it stays.
security_files=/sys/kernel/security/apparmor
processes=/proc
unload_profile() {
  grep -q "^$1 " "$security_files/profiles" 2>/dev/null || return 0
  if grep -lq "^$1 " "$processes"/[0-9]*/attr/current 2>/dev/null; then
    warn "the AppArmor profile $1 stays: processes of another daemon are confined by it"
    return 0
  fi
  step "Unloading the AppArmor profile $1"
  printf %s "$1" >"$security_files/.remove" || {
    warn "the AppArmor profile $1 could not be unloaded"
    stayed="$stayed
  printf %s $1 >$security_files/.remove"
  }
}

# remove_group RECORD: the group that RECORD names, which install.sh writes when it makes one. What the operator made is the operator's.
remove_group() {
  [ -s "$1" ] || return 0
  group=$(cat "$1")
  getent group "$group" >/dev/null || return 0
  step "Removing the group $group"
  try_to groupdel "$group"
}
