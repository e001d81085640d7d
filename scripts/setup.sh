#!/bin/sh
# Finds what is missing on this host, installs it, builds. Can be run again: what is there is left alone.
#
#   sh scripts/setup.sh            what running Bulkhead needs
#   sh scripts/setup.sh --tests    and what its tests need
#   sh scripts/setup.sh --newest gvisor   and a gVisor newer than the distribution's (needs Go, takes minutes)
#
# Where something cannot be had, it says so and goes on without the boundary that needs it.
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh
. scripts/packages.sh

tests=''
[ "${1:-}" = --tests ] && tests=yes
setup_log=$(mktemp "${TMPDIR:-/tmp}/bulkhead-setup.XXXXXX")
state_directory=/var/lib/bulkhead-setup
kernel_cache=/var/cache/bulkhead/kernel
export npm_config_update_notifier=false

[ "$(uname -s)" = Linux ] || die "Bulkhead runs on Linux; this is $(uname -s)" "use a Linux machine or a virtual one"
case $(uname -m) in
  x86_64) qemu=qemu-system-x86 ;;
  aarch64) qemu=qemu-system-arm ;;
  *) qemu='' && warn "no machines on $(uname -m): only x86_64 and aarch64 are known" ;;
esac

# --- packages ------------------------------------------------------------------------------------
if ! have crun && ! have runc; then
  install_packages "containers" crun || install_packages "containers" runc || warn "no container runtime: the container boundary will be missing"
elif ! have crun; then
  install_packages "containers" crun || note "runc is here and will be used: slower, and nothing else changes"
fi
install_packages "gVisor" runsc || warn "no runsc: the gvisor boundary will be missing"
install_packages "networks" nftables || warn "no nftables: only --network none and host will work"
install_packages "the embedded image" busybox-static || true
if [ -n "$qemu" ]; then
  install_packages "machines" "$qemu" qemu-utils erofs-utils cpio lz4 xz-utils zstd || warn "the microvm and vm boundaries will be missing"
fi
install_packages "building" gcc libc6-dev || true
# Our own guest kernel is built once, behind everything else; where it is there, or nobody builds it, nothing is installed for it.
if [ -n "$qemu" ] && [ -z "$tests" ] && [ -z "${BULKHEAD_NO_KERNEL_BUILD:-}" ] && ! ls "$kernel_cache"/own-*/vmlinux >/dev/null 2>&1; then
  if kernel_packages=$(sh scripts/kernel/build.sh --packages 2>/dev/null); then
    # shellcheck disable=SC2086  # a list of names
    install_packages "our own guest kernel" $kernel_packages || true
  fi
fi
if ! have cargo || ! cargo --version >/dev/null 2>&1; then
  # Debian's own rustc is of 2022; rustc-web is the one that its browsers are built with.
  install_packages "building" rustc-web cargo-web || install_packages "building" rustc cargo || die "no Rust compiler can be had" "install Rust 1.85 or newer and run this again"
fi
if [ -n "$tests" ]; then
  install_available "tests" docker-registry skopeo clang lld wasi-libc libclang-rt-dev-wasm32 debootstrap iproute2 iptables openssl zstd syslinux mtools dosfstools tmux zsh fish || warn "some tests will say what they lack"
  # Newer releases have Docker's client by itself. Where it comes with the engine alone (docker.io) it is not installed: that brings a service.
  if ! have docker; then
    if in_package_lists docker-cli; then install_packages "tests by Docker's own client" docker-cli || true; fi
    have docker || note "no docker client is here: the tests that drive it say so"
  fi
fi

# --- Node and its packages -----------------------------------------------------------------------
have npm || install_packages "the daemon" npm || die "npm is not here" "apt-get install npm, or install Node.js 22.15 or newer from nodejs.org"
lock_sum=$(cksum <package-lock.json)
if [ "$(cat node_modules/.bulkhead-lock 2>/dev/null)" != "$lock_sum" ]; then
  step "Installing npm packages (Node 24 among them)"
  # A registry's mirror may lag behind and lack builds for other platforms, on which npm ci insists: npm install does not.
  npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >"$setup_log" 2>&1 ||
    npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error >"$setup_log" 2>&1 || {
    tail -20 "$setup_log" >&2
    die "npm could not install the packages" "see the lines above; the whole output is in $setup_log"
  }
  printf '%s\n' "$lock_sum" >node_modules/.bulkhead-lock
fi
PATH="$PWD/node_modules/.bin:$PATH"
export PATH

# --- building ------------------------------------------------------------------------------------
step "Building (what has not changed is left alone)"
node scripts/build.ts

# --- a kernel for machines -----------------------------------------------------------------------
if [ -n "$qemu" ]; then
  step "Looking for a guest kernel"
  sh scripts/kernel/prepare.sh "$kernel_cache" >/dev/null || warn "no guest kernel: the microvm boundary will be missing; 'bulkhead doctor' says why"
fi

# --- what earlier daemons left -------------------------------------------------------------------
# Of roots that are no more alone: a bridge that nobody will use again keeps an address range from everybody else.
if [ "$(id -u)" = 0 ] && [ -x dist/native/bulkhead-launcher ]; then
  dist/native/bulkhead-launcher --orphans --teardown >"$setup_log" 2>&1 || true
  [ -s "$setup_log" ] && note "took away what roots that are no more had left on this host: $(cut -d: -f1 "$setup_log" | tr '\n' ' ')"
fi

# --- the wasm runner -----------------------------------------------------------------------------
# Its engine wants a newer compiler than everything else here. It is built behind what follows, and found once it is there.
if cargo --version 2>/dev/null | awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 95) }'; then
  sh scripts/wasm-runner.sh --background || warn "the wasm runner cannot be built: the wasm boundary will be missing"
else
  note "Rust 1.95 or newer is not here: the wasm boundary will be missing"
fi

if [ "${1:-} ${2:-}" = "--newest gvisor" ]; then
  sh scripts/gvisor/newest.sh || warn "no newer gVisor: the one that the distribution has is used, where it has one"
fi

rm -f "$setup_log"
step "Ready"
