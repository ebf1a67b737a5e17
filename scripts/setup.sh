#!/usr/bin/env bash
# Checks for what the build needs, and says in one sentence what is missing.
set -euo pipefail
need() { command -v "$1" >/dev/null 2>&1 || { echo "tandem: $2" >&2; exit 1; }; }
need cargo "Rust is missing: install it with rustup (the toolchain is named in rust-toolchain.toml)."
need cc "a C compiler is missing (SQLite is built from source): install gcc or clang."
