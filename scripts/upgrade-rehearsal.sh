#!/usr/bin/env bash
# Rehearses a rolling upgrade from the program of an earlier commit to this one: scripts/upgrade-rehearsal.sh COMMIT
# That commit is built in a work tree of its own; then the test of upgrades runs with it in the place of the old program.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -ne 1 ]; then
  echo "which commit is to be upgraded from? scripts/upgrade-rehearsal.sh COMMIT" >&2
  exit 2
fi
commit=$(git rev-parse --verify "$1^{commit}")
tree=$PWD/.tools/upgrade/$commit
program=$tree/target/debug/tandem
if [ ! -x "$program" ]; then
  [ -d "$tree" ] || git worktree add --detach "$tree" "$commit"
  (cd "$tree" && CARGO_TARGET_DIR=$tree/target cargo build --locked -p tandem)
fi
export PATH="$PWD/.tools/bin:$PATH"
cargo build --locked --workspace --all-features --bins
TANDEM_OLD_PROGRAM=$program cargo test --locked --workspace --all-features --test it cluster::upgrade -- --nocapture
echo "the work tree of the old program stays in $tree; 'git worktree remove --force' ends it"
