#!/bin/sh
# Builds nats-server from source by Go's ordinary client, unless it is already there or, for the release below, on the PATH.
# Needs Go and access to a Go module proxy; no root.
#
#   scripts/install-nats-server.sh                            the release below, into .tools/bin of this repository
#   scripts/install-nats-server.sh v2.14.10 .tools/nats-2.14  another release, into a directory of its own
set -eu

# Tests run against this release, pinned so that a run repeats.
version="${1:-v2.15.3}"
root="$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)"
bin="${2:-$root/.tools/bin}"
mkdir -p "$bin"
bin="$(CDPATH='' cd -- "$bin" && pwd)"

on_path=""
if [ $# -eq 0 ]; then
    if [ -n "${TANDEM_NATS_SERVER:-}" ]; then
        echo "nats-server: TANDEM_NATS_SERVER names $TANDEM_NATS_SERVER; nothing to install"
        exit 0
    fi
    on_path="$(command -v nats-server || true)"
fi
for found in "$bin/nats-server" "$on_path"; do
    if [ -x "$found" ] && "$found" --version | grep -qwF "$version"; then
        echo "nats-server: $found is $version; nothing to install"
        exit 0
    fi
done
if ! command -v go >/dev/null; then
    echo "nats-server: Go is needed to build $version: install Go, or set TANDEM_NATS_SERVER" >&2
    exit 1
fi

echo "nats-server: building $version into $bin"
GOBIN="$bin" GOFLAGS=-mod=mod go install "github.com/nats-io/nats-server/v2@$version"
"$bin/nats-server" --version
