#!/usr/bin/env bash
# A server that speaks S3 for the tests (moto), by pip in a Python environment of this repository's own under .tools/s3.
# Nothing is installed outside the repository; a second run does nothing.
#
#   scripts/setup-s3-server.sh
#   TANDEM_S3_SERVER=/opt/moto/bin/moto_server    names another one's executable; then nothing is installed
set -euo pipefail
cd "$(dirname "$0")/.."
# Pinned so that a run repeats. Older than 5.0.15 it does not know conditional puts.
wanted="moto[s3]==5.2.5 flask==3.1.3 flask-cors==6.0.5"
home=.tools/s3

if [ -n "${TANDEM_S3_SERVER:-}" ]; then
  [ -x "$TANDEM_S3_SERVER" ] || {
    echo "tandem: TANDEM_S3_SERVER names $TANDEM_S3_SERVER, which is no program: name a moto_server, or unset it." >&2
    exit 1
  }
  exit 0
fi
if [ -x "$home/venv/bin/moto_server" ] && [ "$(cat "$home/stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  echo "tandem: the S3 server of the tests is Python: install Python 3.10 or newer with venv." >&2
  exit 1
fi
echo "s3 server: setting up $home (once)"
rm -rf "$home"
mkdir -p "$home"
python3 -m venv "$home/venv" || {
  echo "tandem: python3 cannot make a virtual environment: install its venv module (Debian: python3-venv)." >&2
  exit 1
}
# shellcheck disable=SC2086 # one word a package
"$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check $wanted || {
  echo "tandem: $wanted cannot be installed: is the package index reachable?" >&2
  exit 1
}
echo "$wanted" > "$home/stamp"
