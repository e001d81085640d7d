# Words and small things that the scripts share. Sourced, never run. POSIX sh.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$(printf '\033[1m') dim=$(printf '\033[2m') yellow=$(printf '\033[33m') plain=$(printf '\033[0m')
else
  bold='' dim='' yellow='' plain=''
fi

began_at=$(date +%s)

# step "text": what is about to happen, with the seconds since the script began.
step() { printf '%s[%4ss]%s %s%s%s\n' "$dim" "$(($(date +%s) - began_at))" "$plain" "$bold" "$1" "$plain"; }
note() { printf '        %s\n' "$1"; }
warn() { printf '        %swarning:%s %s\n' "$yellow" "$plain" "$1" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  [ -n "${2:-}" ] && printf 'Remedy: %s\n' "$2" >&2
  exit 1
}

# have COMMAND: whether it is on PATH.
have() { command -v "$1" >/dev/null 2>&1; }
