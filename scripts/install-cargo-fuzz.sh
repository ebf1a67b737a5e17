#!/usr/bin/env bash
# cargo-fuzz for `make soak`, into .tools; needs a nightly toolchain beside the stable one.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo +nightly --version >/dev/null 2>&1 || {
  echo "tandem: fuzzing needs a nightly toolchain: rustup toolchain install nightly" >&2
  exit 1
}
if ! command -v cargo-fuzz >/dev/null 2>&1 && [ ! -x .tools/bin/cargo-fuzz ]; then
  echo "installing cargo-fuzz into .tools (once)"
  cargo install --quiet --locked --root .tools cargo-fuzz
fi
