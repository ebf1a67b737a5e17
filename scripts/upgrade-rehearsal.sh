#!/usr/bin/env bash
# Rehearses a rolling upgrade from the program of an earlier commit to this one: scripts/upgrade-rehearsal.sh COMMIT
# That commit (one that knows format levels) is built apart; then the test of upgrades runs with it in the place of the old program.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -ne 1 ]; then
  echo "which commit is to be upgraded from? scripts/upgrade-rehearsal.sh COMMIT" >&2
  exit 2
fi
commit=$(git rev-parse --verify "$1^{commit}")
apart=$PWD/.tools/upgrade
program=$apart/tandem-$commit
if [ ! -x "$program" ]; then
  echo "building $commit in $apart (the first time takes as long as any first build)"
  rm -rf "$apart/source"
  mkdir -p "$apart/source"
  git archive "$commit" | tar -x -C "$apart/source"
  (cd "$apart/source" && CARGO_TARGET_DIR=$apart/target cargo build --locked -p tandem --bin tandem)
  cp "$apart/target/debug/tandem" "$program"
fi
make nats postgres
export PATH="$PWD/.tools/bin:$PATH"
cargo build --locked --workspace --all-features --bins
TANDEM_OLD_PROGRAM=$program cargo test --locked --workspace --all-features --test it cluster::upgrade -- --nocapture
