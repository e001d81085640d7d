#!/bin/sh
# The wasm runner for this checkout, in dist/native: from the cache where these very sources were built before, else built. The engine
# takes minutes to compile, so it lives outside the checkout, and a later build compiles our own files only.
#
#     scripts/wasm-runner.sh                   wait for it
#     scripts/wasm-runner.sh --background      begin, yield to everything, and come back at once
#     BULKHEAD_WASM_CACHE=DIR                  default /var/cache/bulkhead/wasm
set -eu
cd "$(dirname "$0")/.."
. scripts/builds.sh
cache=${BULKHEAD_WASM_CACHE:-/var/cache/bulkhead/wasm}
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache=${XDG_CACHE_HOME:-$HOME/.cache}/bulkhead/wasm
mkdir -p "$cache"
PATH="$HOME/.cargo/bin:$PATH"
export PATH

key=$({
  rustc -vV
  find native/wasm native/wire native/supervise native/.cargo -name target -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum
} | sha256sum | cut -c1-24)
made=$cache/$key/bulkhead-wasm

place() {
  cmp -s "$made" dist/native/bulkhead-wasm && return
  mkdir -p dist/native
  cp "$made" "dist/native/.bulkhead-wasm.$$"
  mv "dist/native/.bulkhead-wasm.$$" dist/native/bulkhead-wasm
}

if [ -x "$made" ]; then
  place
  exit 0
fi
if [ "${1:-}" = --background ]; then
  begin_build "$cache" "$PWD" sh scripts/wasm-runner.sh
  exit 0
fi

# One at a time, whichever checkout asks: they share what is compiled.
exec 9>"$cache/lock"
flock 9
if [ ! -x "$made" ]; then
  echo "wasm: compiling the runner and its engine (minutes the first time)" >&2
  triple=$(rustc -vV | sed -n 's/^host: //p' | sed 's/-musl$/-gnu/')
  (cd native/wasm && CARGO_TARGET_DIR="$cache/target" cargo build --release --locked --quiet)
  mkdir -p "$cache/$key"
  cp "$cache/target/$triple/release/bulkhead-wasm" "$made.new"
  mv "$made.new" "$made"
  # Builds of sources that nobody has any more.
  ls -dt "$cache"/*/bulkhead-wasm | tail -n +4 | while read -r old; do rm -r "${old%/*}"; done
fi
place
