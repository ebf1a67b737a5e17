#!/usr/bin/env bash
# Licences, bans and sources of every dependency; advisories only where their database can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.20.2
if ! command -v cargo-deny >/dev/null 2>&1 && [ ! -x .tools/bin/cargo-deny ]; then
  echo "installing cargo-deny $version into .tools (once)"
  # Unoptimised: it looks at one lock file, and is built in a third of the time.
  cargo install --quiet --debug --locked --root .tools cargo-deny --version "$version"
fi
export PATH="$PWD/.tools/bin:$PATH"
# Every platform's crates are looked at, not only those this machine builds.
cargo fetch --locked --quiet
cargo deny --offline check licenses bans sources 2>&1 | tail -n 20
if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
  cargo deny check advisories
else
  echo "advisories: not checked, their database cannot be reached from here"
fi
