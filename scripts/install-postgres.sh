#!/bin/sh
# Makes sure that initdb and postgres (15 or newer) are there for the tests, which start servers of their own: where they are not,
# installs Debian's package by apt-get, as root or by sudo, without making or starting Debian's own cluster.
#
#   scripts/install-postgres.sh
#   TANDEM_POSTGRES_BIN=/opt/pgsql/bin    names the directory of the executables; then nothing is installed
set -eu

oldest=15

# The major version of the server in a directory; nothing where there is none.
version_in() {
    [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 0
    "$1/postgres" --version | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p'
}

found() {
    for bin in "${TANDEM_POSTGRES_BIN:-}" "$(dirname "$(command -v postgres || echo /none/none)")" /usr/lib/postgresql/*/bin; do
        version="$(version_in "$bin")"
        if [ -n "$version" ] && [ "$version" -ge "$oldest" ]; then
            echo "postgres: $bin is version $version; nothing to install"
            return 0
        fi
    done
    return 1
}

found && exit 0
if [ -n "${TANDEM_POSTGRES_BIN:-}" ]; then
    echo "postgres: TANDEM_POSTGRES_BIN names $TANDEM_POSTGRES_BIN, which has no initdb and postgres of version $oldest or newer" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    as_root="none"
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null; then
    echo "postgres: install a Postgres server of version $oldest or newer and set TANDEM_POSTGRES_BIN to the directory of its initdb and postgres (apt-get as root would do it here)" >&2
    exit 1
fi

echo "postgres: installing Debian's package"
export DEBIAN_FRONTEND=noninteractive
# Without a cluster nothing of it runs; what somebody configured before stays.
$as_root mkdir -p /etc/postgresql-common
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    echo "create_main_cluster = false" | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
$as_root apt-get install --yes --no-install-recommends postgresql >/dev/null ||
    { $as_root apt-get update >/dev/null && $as_root apt-get install --yes --no-install-recommends postgresql >/dev/null; }
found || { echo "postgres: Debian's package has no server of version $oldest or newer: set TANDEM_POSTGRES_BIN" >&2; exit 1; }
