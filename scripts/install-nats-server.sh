#!/bin/sh
# Puts nats-server into .tools/bin of this repository, built from source by Go's ordinary client, unless a
# server is already there or on the PATH. Needs Go and access to a Go module proxy; no root.
#
#   scripts/install-nats-server.sh            the release below
#   NATS_SERVER_VERSION=v2.15.1 scripts/install-nats-server.sh
set -eu

# Tests run against this release, pinned so that a run repeats.
version="${NATS_SERVER_VERSION:-v2.15.2}"
root="$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)"
bin="$root/.tools/bin"

if [ -n "${TANDEM_NATS_SERVER:-}" ]; then
    echo "nats-server: TANDEM_NATS_SERVER names $TANDEM_NATS_SERVER; nothing to install"
    exit 0
fi
for found in "$bin/nats-server" "$(command -v nats-server || true)"; do
    if [ -x "$found" ] && "$found" --version | grep -qF "$version"; then
        echo "nats-server: $found is $version; nothing to install"
        exit 0
    fi
done
if ! command -v go >/dev/null; then
    echo "nats-server: Go is needed to build $version: install Go, or set TANDEM_NATS_SERVER" >&2
    exit 1
fi

echo "nats-server: building $version into $bin"
mkdir -p "$bin"
GOBIN="$bin" GOFLAGS=-mod=mod go install "github.com/nats-io/nats-server/v2@$version"
"$bin/nats-server" --version
