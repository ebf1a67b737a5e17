#!/usr/bin/env bash
# cargo-fuzz for `make soak`; needs a nightly toolchain beside the stable one.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo +nightly --version >/dev/null 2>&1 || {
  echo "tandem: fuzzing needs a nightly toolchain: rustup toolchain install nightly" >&2; exit 1; }
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
  echo "installing cargo-fuzz (once)"
  cargo install --quiet --locked cargo-fuzz
fi
